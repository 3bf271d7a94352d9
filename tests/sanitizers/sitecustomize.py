"""Every Python of `make sanitize` begins with this."""

import ctypes
import importlib.machinery
import sys


class FindTorch:
    """Imports torch with leak detection off: it keeps thousands of objects without pointers."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        spec = importlib.machinery.PathFinder.find_spec(name, path) if name == "torch" else None
        if spec is not None and spec.loader is not None:
            execute, process = spec.loader.exec_module, ctypes.CDLL(None)

            def exec_module(module):
                process["__lsan_disable"]()
                try:
                    execute(module)
                finally:
                    process["__lsan_enable"]()

            spec.loader.exec_module = exec_module
        return spec


# the finder of an editable installation (pip install -e) would come before PYTHONPATH, where the
# instrumented package is
sys.meta_path[:] = [
    FindTorch,
    *(f for f in sys.meta_path if not type(f).__module__.startswith("_editable_skbc_diffsim")),
]
