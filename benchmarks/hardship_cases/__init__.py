"""Difficult inputs of the training, as data, and how their results are judged.

`fluids` are the liquids that the targets come from, `cases` what is done to them, `training` and
`judging` one run, `table` all of them. ``benchmarks/hardship.py`` is the command.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "examples"))  # for its common.py
