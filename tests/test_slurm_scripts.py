"""The batch scripts of examples/slurm, with stand-ins for Slurm's commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from conftest import MPIEXEC, environment
from diffsim.config.schema import load_config
from test_training import inputs, metrics, with_keys  # noqa: F401

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted((ROOT / "examples" / "slurm").glob("*.sh"))
BATCH = [script for script in SCRIPTS if script.name != "cluster.sh"]
SHELLCHECK = shutil.which("shellcheck", path=environment()["PATH"])
STOPPED = 75
ITERATIONS = 12

# Without MPI: says that it works, and writes down how the training is started.
QUIET_SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do options+=("$1"); shift; done
if [[ $1 == python ]]; then exit "${MPI_STATUS:-0}"; fi
echo "${options[*]} $*" >> "$LOG"
exit "${STATUS:-0}"
"""

# As Slurm: a signal goes to the processes, whose ids are in a file, and not to the batch script.
PARALLEL_SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
: > "$PIDS"
export SLURM_STEP_NUM_TASKS=$SLURM_NTASKS
exec "$MPIEXEC" -n "$SLURM_NTASKS" bash -c 'echo "$1 $$" >> "$PIDS"; exec "$@"' task "$@"
"""

SCONTROL = """#!/bin/bash
echo "scontrol $*" >> "$LOG"
"""


class Cluster:
    """A folder with the scripts, and the commands that they find."""

    def __init__(self, folder, srun):
        self.folder, self.log, self.pids = folder / "job", folder / "log", folder / "pids"
        shutil.copytree(ROOT / "examples" / "slurm", self.folder)
        commands = folder / "commands"
        commands.mkdir()
        for name, text in (("srun", srun), ("scontrol", SCONTROL)):
            (commands / name).write_text(text)
            (commands / name).chmod(0o755)
        activate = folder / "diffsim" / "bin" / "activate"  # of the home folder
        activate.parent.mkdir(parents=True)
        activate.write_text(f'export PATH="{Path(sys.executable).parent}:$PATH"\n')
        self.variables = {
            **environment(),
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR", str(Path.home() / ".cache/matplotlib")),
            "LOG": str(self.log),
            "PIDS": str(self.pids),
            "MPIEXEC": MPIEXEC,
            "SLURM_NTASKS": "2",
            "SLURM_JOB_ID": "4711",
        }
        del self.variables["OMP_NUM_THREADS"]  # that is for the scripts to say

    def start(self, script, *arguments, **variables):
        return subprocess.Popen(
            ["bash", str(self.folder / script), *map(str, arguments)],
            cwd=self.folder,
            env={**self.variables, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, script, *arguments, **variables):
        job = self.start(script, *arguments, **variables)
        said, _ = job.communicate(timeout=60)
        return job.returncode, said

    def calls(self):
        """What was started since the last look."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def cluster(tmp_path):
    return Cluster(tmp_path, QUIET_SRUN)


# ---- the scripts themselves ----


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_bash_can_read_it(script):
    done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing():
    command = [str(SHELLCHECK), "-x", "-P", "SCRIPTDIR", *map(str, SCRIPTS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", BATCH, ids=lambda path: path.name)
def test_options_come_before_commands(script):
    """After the first command Slurm reads no more of them."""
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/bin/bash"
    options = [n for n, line in enumerate(lines) if line.startswith("#SBATCH")]
    commands = [n for n, line in enumerate(lines) if line and not line.startswith("#")]
    assert options and options[-1] < commands[0]
    keys = [re.match(r"#SBATCH --([a-z-]+)=?", lines[n])[1] for n in options]
    assert {"job-name", "time", "output"} <= set(keys)


# ---- how they start trainings ----


@pytest.mark.parametrize("script", ["single_node.sh", "several_nodes.sh"])
def test_a_training_is_started_or_continued(cluster, script):
    train = "--mpi=pmi2 --wait=60 --kill-on-bad-exit=0 diffsim train config.yaml --out run"
    assert cluster.run(script, "config.yaml", "run")[0] == 0
    assert cluster.calls() == [train]
    (cluster.folder / "run").mkdir()
    for checkpoint in ("checkpoint_previous.pt", "checkpoint.pt"):
        (cluster.folder / "run" / checkpoint).touch()
        assert cluster.run(script, "config.yaml", "run")[0] == 0
        assert cluster.calls() == [f"{train} --resume"]
    assert cluster.run(script, "config.yaml", "run", STATUS="1")[0] == 1


@pytest.mark.parametrize("script", [path.name for path in BATCH])
def test_what_is_missing_is_said(cluster, script):
    status, said = cluster.run(script, "config.yaml")
    assert status != 0
    assert f"usage: sbatch {script} CONFIG RUN" in said
    assert cluster.calls() == []


@pytest.mark.parametrize("script", [path.name for path in BATCH if path.name != "seeds.sh"])
def test_processes_that_do_not_know_of_each_other_train_nothing(cluster, script):
    status, said = cluster.run(script, "config.yaml", "run", MPI_STATUS="1")
    assert "MPI does not work here" in said
    assert not [line for line in cluster.calls() if "diffsim" in line]
    assert status == (0 if script == "requeue.sh" else 1)  # a requeued job is to be tried again


def test_each_seed_has_a_folder_and_a_configuration_of_its_own(cluster, inputs):  # noqa: F811
    source = inputs / "seeds.yaml"
    source.write_text(yaml.safe_dump(with_keys({})))
    status, said = cluster.run("seeds.sh", source, "runs", SLURM_ARRAY_TASK_ID="3")
    assert status == 0, said
    (call,) = cluster.calls()
    assert call.endswith("diffsim train runs/seed_3.yaml --out runs/seed_3")
    written = load_config(cluster.folder / "runs" / "seed_3.yaml")
    assert written == load_config(source).model_copy(update={"seed": 3})


def test_a_configuration_with_a_mistake_starts_no_seed(cluster, inputs):  # noqa: F811
    source = inputs / "wrong.yaml"
    source.write_text(yaml.safe_dump(with_keys({"systems.0.temperature": -1.0})))
    status, said = cluster.run("seeds.sh", source, "runs", SLURM_ARRAY_TASK_ID="1")
    assert status != 0
    assert "temperature" in said
    assert cluster.calls() == []


# ---- a training in several jobs ----


def requeues(cluster):
    return [line for line in cluster.calls() if line.startswith("scontrol")]


def test_failures_are_tried_again_but_not_for_ever(cluster):
    again = ["scontrol requeue 4711"]
    for expected in ((0, again), (0, again), (1, [])):
        status, said = cluster.run("requeue.sh", "config.yaml", "run", STATUS="1")
        assert (status, requeues(cluster)) == expected
    assert "3 failures in a row, the last with status 1" in said
    # it can be submitted again, and failures before a success do not count
    for status in (1, 1, STOPPED, 1, 1):
        assert cluster.run("requeue.sh", "config.yaml", "run", STATUS=str(status))[0] == 0
        assert requeues(cluster) == again
    assert cluster.run("requeue.sh", "config.yaml", "run") == (0, "")
    assert requeues(cluster) == []
    assert not list(cluster.folder.glob("*.failures"))


def test_failures_are_counted_beside_the_folder(cluster):
    """Also where its name ends with a slash: a folder that is not empty would be refused."""
    assert cluster.run("requeue.sh", "config.yaml", "run/", STATUS="1")[0] == 0
    assert requeues(cluster) == ["scontrol requeue 4711"]
    assert (cluster.folder / "run.failures").read_text() == "1\n"
    assert not (cluster.folder / "run").exists()


def test_a_mistake_is_not_tried_again(cluster):
    cluster.run("requeue.sh", "config.yaml", "run", STATUS="1")
    assert requeues(cluster) == ["scontrol requeue 4711"]
    status, said = cluster.run("requeue.sh", "config.yaml", "run", STATUS="2")
    assert (status, requeues(cluster)) == (2, [])
    assert "not tried again" in said
    assert not list(cluster.folder.glob("*.failures"))


def test_a_training_in_two_jobs(inputs, tmp_path):  # noqa: F811
    """Slurm's signal ends the first job; the second one resumes, and ends with the training."""
    cluster = Cluster(tmp_path, PARALLEL_SRUN)
    short = {"simulation.steps": 100, "simulation.equilibration": 40, "simulation.every": 10}
    config = inputs / "jobs.yaml"
    config.write_text(json.dumps(with_keys({**short, "iterations": ITERATIONS})))
    run = cluster.folder / "run"

    job = cluster.start("requeue.sh", config, "run")
    deadline = time.monotonic() + 40
    while not (run / "checkpoint.pt").exists() and time.monotonic() < deadline:
        assert job.poll() is None, job.communicate()
        time.sleep(0.01)
    started = [line.split() for line in cluster.pids.read_text().splitlines()]
    assert [name for name, _ in started] == ["diffsim", "diffsim"]
    for _, pid in started:
        os.kill(int(pid), signal.SIGTERM)
    said, _ = job.communicate(timeout=60)
    assert job.returncode == 0, said
    assert "asked to stop" in said
    assert cluster.calls() == ["scontrol requeue 4711"]
    before = len(metrics(run))
    assert 1 <= before < ITERATIONS

    status, said = cluster.run("requeue.sh", config, "run")
    assert status == 0, said
    assert cluster.calls() == []
    assert len(metrics(run)) == ITERATIONS
