"""The examples of the pages in docs/ run, and what they say that the log says is what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import environment, fluid, gpu_environment, pair_tables, run_script

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def blocks(language):
    """Fenced examples of the pages: (page and number, text)."""
    found = []
    for page in ("pair_diffsim.md", "fix_diffsim_counts.md", "fix_diffsim_trajectory.md"):
        texts = [
            t for kind, t in FENCE.findall((ROOT / "docs" / page).read_text()) if kind == language
        ]
        found += [(f"{page}-{number}", text) for number, text in enumerate(texts)]
    return found


def each_block(language):
    names, texts = zip(*blocks(language), strict=True)
    return pytest.mark.parametrize("text", texts, ids=names)


PRELUDE = "units lj\natom_style full\nread_data start.data\ntimestep 0.002\n"
WITHOUT_BONDS = "units lj\nread_data atomic.data\ntimestep 0.002\n"


def prelude_of(paragraph):
    return WITHOUT_BONDS if "diffsim/trajectory" in paragraph else PRELUDE


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with atoms of two types, and the files that the pages make."""
    path = tmp_path_factory.mktemp("documentation")
    configuration = fluid(cells=5, density=0.9, n_types=2)
    configuration.write(path / "atomic.data")
    configuration.charges = (0.1 * (-1.0) ** np.arange(len(configuration.x))).tolist()
    configuration.write(path / "start.data")
    recorded = next(text for name, text in blocks("lammps") if "trajectory" in name)
    (path / "in.fluid").write_text(WITHOUT_BONDS + recorded.split("\n\n")[0] + "\n")
    for _, text in blocks("python"):
        (path / "model.py").write_text(text)
        execute([sys.executable, "-W", "ignore", "model.py"], path)
    for _, text in blocks("text"):
        if text.startswith("diffsim-knots"):
            (path / "soft.knots").write_text(text)
    for _, text in blocks("bash"):
        if text.startswith("diffsim export"):
            execute(["bash", "-e", "-c", text], path)
    first = blocks("lammps")[0][1].split("\n\n")[0]
    (path / "in.mixture").write_text(f"{PRELUDE}{first}\nrun 1\n")
    return path


def execute(command, path):
    done = subprocess.run(
        command, cwd=path, env=environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout


@each_block("lammps")
def test_lammps_examples(text, folder):
    script, runs = "", 0
    for paragraph in text.split("\n\n"):
        if not paragraph.startswith("read_restart"):
            script += prelude_of(paragraph)
        script += paragraph + "\n"
        if "\nrun " not in paragraph:
            script += "run 1\n"
        script += "clear\n"
        runs += max(1, paragraph.count("\nrun "))
    result = run_script(folder, script, environ=gpu_environment("emulated-gpu"))
    assert result.log.count("Loop time of") == runs
    said = ("kernels, 1 thread", "model itself is", "emulated GPU, GPU 0")
    assert sum(result.log.count(words) for words in said) == sum(
        "pair_style diffsim" in part or "read_restart" in part or " diffsim coul" in part
        for part in text.split("\n\n")
    )


@each_block("bash")
def test_commands_of_the_shell(text, folder):
    for line in text.splitlines():
        said = execute(["bash", "-e", "-c", line], folder)
        if line.startswith("diffsim export"):
            assert "pair_coeff * * mixture.knots A B" in said.splitlines()
            continue
        threads = 2 if "OMP_NUM_THREADS=2" in line or "omp 2" in line else 1
        kernels = "portable" if "portable" in line else r"\w+"
        assert re.search(rf"Pair style diffsim: {kernels} kernels, {threads} thread", said)
        ranks = 2 if "mpiexec -n 2" in line else 1
        assert f"{ranks} MPI tasks x {threads} OpenMP threads" in said


def test_the_log_says_what_the_page_says(folder):
    """But for the kernels, which are the processor's, and the rounding at the ends."""

    def comparable(text):
        lines = [re.sub(r"\w+ kernels", "KERNELS", line) for line in text.splitlines()]
        return [re.sub(r"\(u = \S+e-\d+\)$", "(u = 0)", line) for line in lines]

    (shown,) = [text for _, text in blocks("text") if text.startswith("Pair style diffsim")]
    log = comparable(run_script(folder, (folder / "in.mixture").read_text()).log)
    assert [line for line in log if line in comparable(shown)] == comparable(shown)


def test_the_knots_file_is_the_potential_that_the_page_says(folder):
    run_script(
        folder,
        PRELUDE
        + "pair_style diffsim\npair_coeff * * soft.knots A A\n"
        + "pair_write 1 2 50 r 0.51 0.99 soft.table AB\n",
    )
    r, u, f = pair_tables(folder / "soft.table")["AB"]
    np.testing.assert_allclose(u, (1.0 - r**2) ** 2, rtol=0, atol=1e-9)
    np.testing.assert_allclose(f, 4.0 * r * (1.0 - r**2), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.name
)
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


SCRIPTS = sorted(ROOT.glob("examples/*/*.py"))
SCRIPTS += sorted(ROOT.glob("benchmarks/*.py"))

# Executes scripts as modules: what they import and define is there.
IMPORTER = """
import runpy, sys
for script in sys.argv[1:]:
    folder = script.rpartition("/")[0]
    before = set(sys.modules)
    sys.path.insert(0, folder)
    runpy.run_path(script, run_name="imported")
    sys.path.remove(folder)
    for name in set(sys.modules) - before:
        # scripts of different folders share names
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(folder):
            del sys.modules[name]
"""


def test_every_script_of_examples_and_benchmarks_can_be_imported(tmp_path):
    assert len(SCRIPTS) > 20
    execute([sys.executable, "-c", IMPORTER, *map(str, SCRIPTS)], tmp_path)
