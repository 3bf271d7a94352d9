"""Runs the C++ under AddressSanitizer, LeakSanitizer and UBSan: what `make sanitize` does.

    python tests/sanitizers/run.py SITE [pytest arguments]

SITE is the folder into which the instrumented package was installed (pip install --target), and
beside it is its build folder. LAMMPS, MPI, Python and torch are the ordinary ones: their memory
is watched where our code uses it, as the sanitizers' malloc comes before all others (LD_PRELOAD).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from sanitizer_reports import FOLDER, LEAKS, take_findings

HERE = Path(__file__).parent
TESTS = HERE.parent

# the tests that run our C++
FILES = ("test_splines.py", "test_counts.py", "test_bad_input_lammps.py", "test_pair_*.py")
# memory that is freed is kept from use for a while, so that the process grows
NOT_THESE = "not memory_is_flat"

ASAN = {
    # an error kills the process, whatever exit status its test expects; leaks, which Python has
    # always, leave a report only
    "abort_on_error": "1",
    "exitcode": "0",
    "handle_abort": "1",
    "detect_stack_use_after_return": "1",
    "check_initialization_order": "1",
    "strict_string_checks": "1",
    # a model may ask for more memory than there is, and torch says so
    "allocator_may_return_null": "1",
    "stack_trace_format": '"    #%n %p %F %L (%m)"',
    "log_exe_name": "1",
    "suppressions": str(HERE / "asan_suppressions.txt"),
}
UBSAN = {"print_stacktrace": "1", "abort_on_error": "1", "log_exe_name": "1"}


def runtime(library: str) -> str:
    """Path of a library that the compiler brings."""
    compiler = os.environ.get("CXX", "c++")
    path = subprocess.run(
        [*compiler.split(), f"-print-file-name={library}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    if "/" not in path:
        sys.exit(f"{compiler} has no {library}. Install the sanitizers of GCC, or set CXX to g++.")
    return path


def link_torch(site: Path) -> None:
    """Put torch beside the package, where our library looks for it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        sys.exit("The package torch is not installed. Run 'make sanitize'.")
    link = site / "torch"
    link.unlink(missing_ok=True)
    link.symlink_to(Path(spec.origin).parent)


def environment(site: Path, reports: Path) -> dict[str, str]:
    def options(settings: dict[str, str], name: str) -> str:
        pairs = {**settings, "log_path": f"{reports / name}"}
        return ":".join(f"{key}={value}" for key, value in pairs.items())

    # libstdc++ must be there before the first exception is thrown
    libraries = [runtime(name) for name in ("libasan.so", "libubsan.so", "libstdc++.so")]
    return {
        **os.environ,
        "LD_PRELOAD": " ".join(libraries),
        # not of pytest itself: to find what `import torch` leaks takes minutes
        "ASAN_OPTIONS": options({**ASAN, "detect_leaks": "0"}, "asan"),
        LEAKS: options({**ASAN, "detect_leaks": "1"}, "asan"),
        # the search for leaks itself crashes in the thread-local storage of libraries loaded late
        "LSAN_OPTIONS": "use_tls=0",
        "UBSAN_OPTIONS": options(UBSAN, "ubsan"),
        "PYTHONPATH": os.pathsep.join((str(site), str(HERE))),
        FOLDER: str(reports),
        "OMP_NUM_THREADS": "1",
    }


def run_tests(site: Path, arguments: list[str]) -> int:
    reports = site.parent / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir()
    link_torch(site)
    if not any(".py" in argument for argument in arguments):
        arguments = [*(str(path) for name in FILES for path in TESTS.glob(name)), *arguments]
    command = [sys.executable, "-m", "pytest", "-p", "sanitizer_reports", "-p", "no:faulthandler"]
    process = subprocess.run(
        [*command, "-k", NOT_THESE, *arguments],
        env=environment(site, reports),
        check=False,
    )
    # those of pytest's own process
    found = take_findings(reports)
    if found:
        print(*found, sep="\n\n")
        print("The sanitizers found something.")
    return process.returncode or int(bool(found))


def main() -> int:
    site = Path(sys.argv[1]).resolve()
    kernels = subprocess.run([site.parent / "cmake" / "check_kernels"], check=False)
    return run_tests(site, sys.argv[2:]) or int(kernels.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
