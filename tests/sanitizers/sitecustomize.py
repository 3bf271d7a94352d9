"""Every Python of `make sanitize` takes the instrumented package, which is first on PYTHONPATH.

The finder of an editable installation (pip install -e) would come before that path.
"""

import sys

sys.meta_path[:] = [
    finder
    for finder in sys.meta_path
    if not type(finder).__module__.startswith("_editable_skbc_diffsim")
]
