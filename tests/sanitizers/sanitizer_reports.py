"""What the sanitizers wrote, and a pytest plugin that fails the test during which they did.

Every process of `make sanitize` writes its reports into the folder of $DIFFSIM_SANITIZER_REPORTS.
A report of a wrong access or of undefined behaviour counts, whoever caused it. A leak counts if one
of our libraries is in its stack: of what Python, MPI or torch leave behind there is no end.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = "DIFFSIM_SANITIZER_REPORTS"
LEAKS = "DIFFSIM_SANITIZER_LEAKS"  # ASAN_OPTIONS of the processes that the tests start
OUR_LIBRARIES = ("diffsimplugin.so", "libdiffsim_", "_core.cpython")


# Not ours: the loader's notes about a library that it has loaded for us, and the exception that is
# being handled when LAMMPS exits in its handler (its only pointer is thread-local, where nobody
# looks).
NO_LEAKS = ("_dl_map_object_deps", "__cxa_allocate_exception")


def is_ours(leak: str) -> bool:
    if any(function in leak for function in NO_LEAKS):
        return False
    return any(library in leak for library in OUR_LIBRARIES)


def findings(report: str) -> list[str]:
    """The parts of a report that count."""
    # torch asked for it, and went on
    report = re.sub(r"==\d+==WARNING: AddressSanitizer failed to allocate .*\n", "", report)
    if "LeakSanitizer: detected memory leaks" not in report:
        return [report] if report.strip() else []
    leaks = re.split(r"\n\n(?=(?:Direct|Indirect) leak of)", report)[1:]
    return [leak for leak in leaks if is_ours(leak)]


def take_findings(folder: Path) -> list[str]:
    """The findings of all reports in the folder, with their files; the files become `*.read`."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix == ".read":
            continue
        found += [f"{path.name}: {text}" for text in findings(path.read_text(errors="replace"))]
        path.rename(path.with_name(path.name + ".read"))
    return found


def pytest_configure() -> None:
    os.environ["ASAN_OPTIONS"] = os.environ[LEAKS]


@pytest.fixture(autouse=True)
def nothing_for_the_sanitizers() -> Iterator[None]:
    yield
    found = take_findings(Path(os.environ[FOLDER]))
    if found:
        pytest.fail("\n\n".join(found), pytrace=False)
