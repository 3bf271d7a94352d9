"""Trainings that are killed, asked to stop, or find their files damaged, and how they go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import MPIEXEC, without_seconds
from diffsim.config.schema import load_config
from diffsim.errors import InputError, StorageError
from diffsim.folder import run_directory, run_lock
from diffsim.lammps.engine import lammps_instance
from diffsim.pool.stopping import stop_on_sigterm
from diffsim.run.training import build, run_training
from test_training import CONFIG, inputs, metrics, train, with_keys  # noqa: F401

ITERATIONS, KILLS = 8, 20
SHORT = {
    "iterations": ITERATIONS,
    "simulation.steps": 100,
    "simulation.equilibration": 40,
    "simulation.relaxation": 20,
    "simulation.every": 10,
}

# Starts the training again and again and kills it each time; the last time it may finish. Children
# are forked from a process that has loaded torch, but not MPI.
KILLER = """
import json, os, random, signal, sys, time
from pathlib import Path
from diffsim.config.schema import load_config
from diffsim.run.training import run_training

config, out, kills = load_config(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
rng = random.Random(int(sys.argv[4]))

def start():
    child = os.fork()
    if child:
        return child
    try:
        sys.stdout = open(os.devnull, "w")
        done = any((out / name).exists() for name in ("checkpoint.pt", "checkpoint_previous.pt"))
        run_training(config, out, resume=done)
        os._exit(0)
    except BaseException as error:
        print(f"CHILD {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)

def iterations():
    frames = out / "frames"
    return len(list(frames.glob("*.npz"))) if frames.is_dir() else 0

def wait(child, deadline, until):
    while not until() and time.monotonic() < deadline:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return

while_writing, reached = 0, []
for kill in range(kills):
    child = start()
    before, deadline = iterations(), time.monotonic() + 60
    goal = before + (kill == 0 or rng.random() < 0.3)
    wait(child, deadline, lambda: (out / "lammps").is_dir() and iterations() >= goal)
    if kill % 2:  # while frames or a checkpoint are being written
        wanted = rng.choice(["checkpoint.pt.part", "frames/*.part"])
        wait(child, deadline, lambda: list(out.glob(wanted)))
        time.sleep(rng.uniform(0.0, 0.003))
        while_writing += bool(list(out.glob(wanted)))
    else:  # at any other moment
        time.sleep(rng.uniform(0.0, 0.3))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    reached.append(iterations())
_, status = os.waitpid(start(), 0)
print(json.dumps([while_writing, reached]))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def weights(out):
    return torch.load(out / "checkpoint.pt", weights_only=False)["potential"]


def assert_same_run(out, reference):
    assert without_seconds(metrics(out)) == without_seconds(metrics(reference))
    for name, value in weights(reference).items():
        assert torch.equal(weights(out)[name], value)


@pytest.fixture(scope="module")
def reference(inputs, tmp_path_factory):  # noqa: F811
    """A run that nobody disturbed."""
    return train(inputs, tmp_path_factory.mktemp("reference") / "run", changes=SHORT)


def test_a_run_that_is_killed_at_any_moment_ends_with_the_same_numbers(
    inputs,  # noqa: F811
    reference,
    tmp_path,
):
    """Twenty times, half of them while a checkpoint or its frames are being written."""
    (inputs / "killed.yaml").write_text(json.dumps(with_keys(SHORT)))
    out = tmp_path / "killed"
    arguments = [str(inputs / "killed.yaml"), str(out), str(KILLS), "11"]
    done = subprocess.run(
        [sys.executable, "-c", KILLER, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "CHILD" not in done.stderr, done.stderr[-3000:]
    while_writing, reached = json.loads(done.stdout)
    assert while_writing >= 3
    print("REACHED", reached, while_writing)
    assert sum(iterations < ITERATIONS for iterations in reached) >= KILLS // 2, reached
    assert_same_run(out, reference)
    assert not list(out.glob("**/*.part")) or len(metrics(out)) == ITERATIONS


@contextmanager
def started(*command):
    """A process that listens to signals, even if the tests run in the background, and that is gone,
    with all that it started, when the test ends."""
    process = subprocess.Popen(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_sigterm_ends_a_run_after_its_iteration(inputs, reference, tmp_path):  # noqa: F811
    """With the status that batch scripts requeue on; what is resumed has the same numbers."""
    (inputs / "stopped.yaml").write_text(json.dumps(with_keys(SHORT)))
    out = tmp_path / "stopped"
    command = [sys.executable, "-m", "diffsim.cli.main", "train", str(inputs / "stopped.yaml")]
    with started(*command, "--out", str(out)) as process:
        deadline = time.monotonic() + 60
        while not (out / "checkpoint.pt").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "asked to stop" in said
    assert "--resume" in said
    assert said.count("\n") == 1
    assert 1 <= len(metrics(out)) < ITERATIONS
    assert (out / "potential.png").exists()
    run_training(load_config(inputs / "stopped.yaml"), out, resume=True)
    assert_same_run(out, reference)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_run_while_lammps_runs(inputs, tmp_path, number):  # noqa: F811
    """Without waiting for LAMMPS to return; but one that comes twice at once is one request."""
    changes = {**SHORT, "simulation.equilibration": 10_000_000}  # for an hour
    (inputs / "endless.yaml").write_text(json.dumps(with_keys(changes)))
    out = tmp_path / "endless"
    command = [sys.executable, "-m", "diffsim.cli.main", "train", str(inputs / "endless.yaml")]
    with started(*command, "--out", str(out)) as process:
        deadline = time.monotonic() + 60
        # written just before LAMMPS runs, whose log is written when it is done
        while not (out / "lammps" / "fluid.knots").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.0)
        process.send_signal(number)
        time.sleep(0.2)
        process.send_signal(number)
        time.sleep(1.5)
        assert process.poll() is None  # the first one waits
        process.send_signal(number)
        began = time.monotonic()
        _, said = process.communicate(timeout=30)
    assert time.monotonic() - began < 2.0
    assert process.returncode == 128 + number
    assert "Traceback" not in said


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("after", ["lammps/fluid.log", "checkpoint.pt"])
def test_ctrl_c_ends_a_run_in_a_line(inputs, tmp_path, after, ranks):  # noqa: F811
    """Which speaks of --resume where there is a checkpoint only."""
    changes = {**SHORT, "iterations": 1000, "simulation.equilibration": 8_000}
    (inputs / "interrupted.yaml").write_text(json.dumps(with_keys(changes)))
    out = tmp_path / "interrupted"
    command = [sys.executable, "-m", "diffsim.cli.main", "train", str(inputs / "interrupted.yaml")]
    start = [MPIEXEC, "-n", str(ranks)] if ranks > 1 else []
    with started(*start, *command, "--out", str(out)) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if (out / after).exists() and "Step" in (out / "lammps" / "fluid.log").read_text():
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if "diffsim: " in line]
    assert len(lines) == 1, said
    (line,) = lines
    assert "stopped by Ctrl-C" in line
    assert ("--resume" in line) == (out / "checkpoint.pt").exists() == (after == "checkpoint.pt")


def test_ctrl_c_while_lammps_is_closed_does_not_close_it_again(monkeypatch):
    """LAMMPS's own `close` would be called again when Python deletes the instance, and crash."""
    closed = []
    with pytest.raises(KeyboardInterrupt), lammps_instance(None, {}) as lammps:
        close = lammps.lib.lammps_close

        def interrupted(pointer):
            close(pointer)
            closed.append(pointer)
            raise KeyboardInterrupt

        monkeypatch.setattr(lammps.lib, "lammps_close", interrupted)
    lammps.close()
    assert len(closed) == 1


def test_signals_are_as_before_when_a_training_has_ended():
    """No handler, file or thread is left, and it may be in a thread of its own."""

    def present():
        fd = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(fd)
        files = len(list(Path("/proc/self/fd").iterdir()))
        return fd, files, signal.getsignal(signal.SIGTERM), threading.active_count()

    before = present()
    with stop_on_sigterm() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
        assert present() != before
    assert present() == before

    def elsewhere():
        with stop_on_sigterm() as stop:
            results.append(stop())

    results: list[bool] = []
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert results == [False]


@pytest.fixture
def half(inputs, tmp_path):  # noqa: F811
    """A run of which half is done."""
    return train(inputs, tmp_path / "half", changes={**SHORT, "iterations": 4})


def truncate(path):
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def flip(path):
    """Change a byte in the middle, where a zip archive still can be opened."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [truncate, flip, lambda path: path.unlink()])
@pytest.mark.parametrize("file", ["checkpoint.pt", "frames/00004.npz"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    inputs,  # noqa: F811
    reference,
    half,
    file,
    damage,
):
    damage(half / file)
    train(inputs, half, resume=True, changes=SHORT)
    (event,) = [e for e in metrics(half)[3]["events"] if "cannot be read" in e]
    assert "of iteration 3" in event
    for record in (records := metrics(half)):
        record["events"] = [e for e in record["events"] if "cannot be read" not in e]
    expected = without_seconds(metrics(reference))
    assert without_seconds(records) == expected


def test_no_checkpoint_that_can_be_read(inputs, half):  # noqa: F811
    before = (half / "metrics.jsonl").read_text()
    truncate(half / "checkpoint.pt")
    flip(half / "frames" / "00002.npz")
    with pytest.raises(StorageError, match=r"No checkpoint can be read.*checkpoint\.pt.*previous"):
        train(inputs, half, resume=True, changes=SHORT)
    assert (half / "metrics.jsonl").read_text() == before


@pytest.mark.parametrize("fails", ["savez", "save"])
def test_a_full_disk(inputs, half, reference, monkeypatch, fails):  # noqa: F811
    """The checkpoint before is left as it is, and so the run goes on where there is room."""
    module = {"savez": np, "save": torch}[fails]
    real = getattr(module, fails)

    def full(*arguments, **options):
        file = arguments[0] if fails == "savez" else arguments[1]
        if "00006" in getattr(file, "name", "") or (half / "frames" / "00006.npz").exists():
            file.write(b"half of it")
            raise OSError(28, "No space left on device")
        return real(*arguments, **options)

    monkeypatch.setattr(run_directory.np if fails == "savez" else torch, fails, full)
    with pytest.raises(StorageError, match=r"iteration 6 cannot be written.*No space.*--resume"):
        train(inputs, half, resume=True, changes=SHORT)
    assert not list(half.glob("**/*.part"))
    monkeypatch.undo()
    train(inputs, half, resume=True, changes=SHORT)
    assert_same_run(half, reference)


def test_memory_is_bounded(inputs, tmp_path, monkeypatch):  # noqa: F811
    """Old pieces are forgotten, by the run and on the disk, and a resumed run is the same."""
    for module in ("diffsim.response.ensemble", "diffsim.folder.run_directory"):
        monkeypatch.setattr(f"{module}.MOST_PIECES", 3)
    whole = train(inputs, tmp_path / "whole", changes=SHORT)
    kept = sorted(path.name for path in (whole / "frames").iterdir())
    assert kept == [f"{n:05d}.npz" for n in range(5, 9)]  # one more for the checkpoint before
    assert metrics(whole)[-1]["ess"] <= 3 * 10
    parts = train(inputs, tmp_path / "parts", changes={**SHORT, "iterations": 6})
    train(inputs, parts, resume=True, changes=SHORT)
    assert_same_run(parts, whole)


def test_two_trainings_do_not_share_a_folder(inputs, reference, half):  # noqa: F811
    """Be it in use at its beginning or later; it is free when the first one has ended."""
    before = (half / "metrics.jsonl").read_text()
    for folder, resume in ((half, True), (half.parent / "new", False)):
        folder.mkdir(exist_ok=True)
        with (
            run_lock.only_user_of(folder),
            pytest.raises(InputError, match=rf"in use: process {os.getpid()} on .*--out"),
        ):
            train(inputs, folder, resume=resume, changes=SHORT)
    assert (half / "metrics.jsonl").read_text() == before
    train(inputs, half, resume=True, changes=SHORT)
    assert_same_run(half, reference)


@pytest.mark.parametrize("code", run_lock.UNKNOWN)
def test_a_file_system_without_locks(tmp_path, monkeypatch, code):
    def unknown(file, operation):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(run_lock.fcntl, "flock", unknown)
    with run_lock.only_user_of(tmp_path), run_lock.only_user_of(tmp_path):
        pass


def test_no_file_is_left_open_and_memory_is_flat(inputs, tmp_path):  # noqa: F811
    """Over iterations, after the first ones."""
    seen = []

    def look(trainer):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        files = len(list(Path("/proc/self/fd").iterdir()))
        seen.append((files, pages * os.sysconf("SC_PAGE_SIZE")))

    changes = {**SHORT, "iterations": 60, "optimizer": "Adam", "simulation.steps": 20}
    (inputs / "long.yaml").write_text(json.dumps(with_keys(changes)))
    real = run_directory.RunDirectory.write_checkpoint

    def write(self, trainer):
        real(self, trainer)
        look(trainer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_directory.RunDirectory, "write_checkpoint", write)
        patch.setattr("diffsim.response.ensemble.MOST_PIECES", 10)
        patch.setattr("diffsim.folder.run_directory.MOST_PIECES", 10)
        run_training(load_config(inputs / "long.yaml"), tmp_path / "long", resume=False)
    files, memory = np.array(seen[20:]).T
    assert files.max() == files.min()
    assert memory[-20:].mean() - memory[:20].mean() < 4e6


def test_a_stop_is_noticed_after_an_iteration_and_after_a_validation(inputs, tmp_path):  # noqa: F811
    """A stop leaves iterations for another time; the validation of the last one is not left."""
    tested = {"name": "tested", "validation": True}
    systems = [CONFIG["systems"][0], {**CONFIG["systems"][0], **tested}]
    changes = {**SHORT, "systems": systems, "validate_every": 1}
    (inputs / "stops.yaml").write_text(json.dumps(with_keys(changes)))
    config = load_config(inputs / "stops.yaml")
    for said, expected in ([True], 1), ([False, True], 1), ([False, False, True], 2):
        answers = iter(said)
        trainer = build(config, None)
        records = list(trainer.steps(3, lambda answers=answers: next(answers)))
        assert len(records) == expected
    (only,) = build(config, None).steps(1, lambda: True)
    assert set(only.validation) == {"tested"}
