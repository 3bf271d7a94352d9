"""The folder of a run: what is written when, and how a run is taken up again.

config.yaml       the configuration with all defaults and absolute paths
model.pt          the best potential so far; if it depends on temperature, at the reference
                  temperature; diffsim.potentials.TemperatureDependent.load reads both parts
potential.table   the same as a LAMMPS table
*_T300.pt, .table the same for each temperature of the systems, if it depends on temperature
outcome.json      of which iteration that is, and its numbers
metrics.jsonl     a line for each iteration
conclusion.txt    sentences on what the run leaves open, one a line
checkpoint.pt     weights, optimizer, atoms, the way back; with frames/ all that a resumed run needs
checkpoint_previous.pt  the one of the iteration before
frames/           pair counts of the iterations that are still used, the latest 100
lammps/           logs and working files of LAMMPS
*.png             plots
.lock             who trains in the folder
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pickle
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from diffsim.errors import InputError, StorageError, first_line
from diffsim.folder import run_lock
from diffsim.pool.aborts import forget_aborts
from diffsim.response.ensemble import MOST_PIECES
from diffsim.simulation import Frames
from diffsim.training.iterations import Iteration
from diffsim.training.outcome import Outcome
from diffsim.training.trainer import Trainer

PART = ".part"  # of files that are being written

UNREADABLE = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    RuntimeError,
    zipfile.BadZipFile,
    pickle.UnpicklingError,
)
"""What reading a damaged file raises: zipfile, numpy and torch agree on nothing."""


class RunDirectory:
    """Files of a run; written to within `used` only.

    Parameters
    ----------
    path
        The folder; `used` makes it if it does not exist.
    resume
        Whether a run in it is continued.
    config
        The configuration with all defaults, as text.

    Raises
    ------
    InputError
        If the folder holds a run and `resume` is false, or the other way round, or if it cannot be
        looked into.
    """

    def __init__(self, path: Path, resume: bool, config: str) -> None:
        self.path = path
        self._text = config
        with run_lock.reachable(path):
            if resume and not self.is_resumable:
                raise InputError(
                    f"The folder {path} holds no checkpoint to resume from. Start the run without "
                    "--resume."
                )
            if path.exists() and not path.is_dir():
                raise InputError(f"{path} is a file; name a folder for the run with --out.")
            if not resume and path.is_dir() and not self._is_unused():
                advice = (
                    "Continue the run in it with --resume, or name"
                    if self._checkpoint.exists()
                    else "Name"
                )
                raise InputError(
                    f"The folder {path} is not empty. {advice} another folder with --out."
                )
        self._resume = resume

    @contextmanager
    def used(self) -> Iterator[None]:
        """Make the folder what a run needs, and keep others out of it.

        Raises
        ------
        InputError
            If another process trains in it, or it cannot be made or written to.
        """
        with run_lock.reachable(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with run_lock.only_user_of(self.path):
            with run_lock.reachable(self.path):
                if not self._resume:
                    forget_aborts(self.lammps)
                    self.metrics.unlink(missing_ok=True)
                self.lammps.mkdir(exist_ok=True)
                self._frames.mkdir(exist_ok=True)
            yield

    def _is_unused(self) -> bool:
        """Whether the folder holds no more than a run leaves that ended before its first checkpoint
        was written, maybe after the line of its metrics."""
        files = {self._config.name, self.metrics.name, run_lock.NAME}
        left = {self.lammps.name, self._frames.name, *files}
        names = {file.name for file in self.path.iterdir() if file.suffix != PART}
        if not names <= left:
            return False
        # without the lock of a run a file of the same name may be the user's
        ours = run_lock.NAME in names
        if self._config.name in names and not ours and self._config.read_text() != self._text:
            return False
        if self.metrics.name not in names:
            return True
        return self._config.name in names and len(self.metrics.read_text().splitlines()) <= 1

    @property
    def is_resumable(self) -> bool:
        """Whether there is a checkpoint."""
        return self._checkpoint.is_file() or self._previous.is_file()

    @property
    def _config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def lammps(self) -> Path:
        """Folder for LAMMPS's files."""
        return self.path / "lammps"

    @property
    def model(self) -> Path:
        """The best potential."""
        return self.path / "model.pt"

    @property
    def table(self) -> Path:
        """The best potential as a LAMMPS table."""
        return self.path / "potential.table"

    def at_temperature(self, temperature: float) -> tuple[Path, Path]:
        """Model file and LAMMPS table of the best potential at a temperature."""
        suffix = f"_T{temperature:.12g}"
        return self.path / f"model{suffix}.pt", self.path / f"potential{suffix}.table"

    @property
    def metrics(self) -> Path:
        """A line of JSON for each iteration."""
        return self.path / "metrics.jsonl"

    @property
    def _frames(self) -> Path:
        return self.path / "frames"

    @property
    def _checkpoint(self) -> Path:
        return self.path / "checkpoint.pt"

    @property
    def _previous(self) -> Path:
        return self.path / "checkpoint_previous.pt"

    def write_config(self) -> None:
        """Keep the resolved configuration."""
        with _replacing(self._config) as file:
            file.write(self._text.encode())

    def read_config(self) -> str:
        """The configuration that the run was started with."""
        return self._config.read_text()

    def write_conclusion(self, sentences: Sequence[str]) -> None:
        """Keep what is said of the end of a run."""
        with _replacing(self.path / "conclusion.txt") as file:
            file.write("".join(f"{sentence}\n" for sentence in sentences).encode())

    def write_outcome(self, outcome: Outcome) -> None:
        """Keep which potential is the best one, and its numbers."""
        with _replacing(self.path / "outcome.json") as file:
            file.write((json.dumps(dataclasses.asdict(outcome), indent=1) + "\n").encode())

    def append_metrics(self, record: Iteration) -> None:
        """Add the line of an iteration."""
        try:
            with self.metrics.open("a") as file:
                file.write(json.dumps(dataclasses.asdict(record)) + "\n")
        except OSError as error:
            raise StorageError(
                f"The metrics of iteration {record.iteration} cannot be written to {self.metrics} "
                f"({error}). The checkpoint before is still there: make room, and go on with "
                "--resume."
            ) from None

    def write_checkpoint(self, trainer: Trainer) -> None:
        """Keep the newest frames, with the splines that they were simulated with, and the state of
        the trainer after an iteration."""
        assert trainer.newest is not None, "no iteration yet"
        coefficients = np.array(trainer.newest.coefficients)
        same = bool((coefficients == coefficients[0]).all())  # one potential for all systems
        arrays: dict[str, Any] = {"coefficients": coefficients[0] if same else coefficients}
        for index, frames in enumerate(trainer.newest.frames):
            for entry in dataclasses.fields(frames):
                arrays[f"{index}_{entry.name}"] = getattr(frames, entry.name)
        try:
            with _replacing(self._piece(trainer.iteration)) as file:
                np.savez(file, **arrays)
            with _replacing(self._checkpoint, self._previous) as file:
                # torch ends the process where it cannot write to a file
                torch.save(trainer.state_dict(), content := io.BytesIO())
                file.write(content.getbuffer())
        except (OSError, RuntimeError) as error:  # torch says RuntimeError of a full disk
            raise StorageError(
                f"The checkpoint of iteration {trainer.iteration} cannot be written to {self.path} "
                f"({first_line(error)}). The one before is still there: make room, and go on with "
                "--resume."
            ) from None
        # the checkpoint before may still be needed, with the frames that it needs
        unused = self._piece(trainer.iteration - MOST_PIECES - 1)
        unused.unlink(missing_ok=True)

    def load_checkpoint(self, trainer: Trainer) -> str | None:
        """Put a trainer into the state of the checkpoint, and drop what was written after it.

        Returns
        -------
        A sentence about the checkpoint, if it is not the last one that was written.

        Raises
        ------
        StorageError
            If neither it nor the one before can be read.
        """
        problems = []
        for checkpoint in (self._checkpoint, self._previous):
            try:
                state, pieces = self._read(checkpoint, len(trainer.systems))
            except UNREADABLE as error:
                problems.append(f"{checkpoint} ({first_line(error)})")
                continue
            trainer.load_state_dict(state, pieces)
            written = self.metrics.read_text() if self.metrics.is_file() else ""
            lines = written.splitlines()[: state["iteration"]]
            with _replacing(self.metrics) as file:
                file.write("".join(line + "\n" for line in lines).encode())
            if not problems:
                return None
            checkpoint.replace(self._checkpoint)
            return (
                f"The checkpoint cannot be read: {problems[0]}. The run goes on from the one "
                f"before, of iteration {state['iteration']}."
            )
        raise StorageError(
            f"No checkpoint can be read: {'; '.join(problems)}. Start a new run from {self.model}."
        )

    def _read(self, checkpoint: Path, systems: int) -> tuple[dict[str, Any], list[Any]]:
        """State of a trainer, and the pieces of simulation that belong to it."""
        _check_archive(checkpoint)
        # the file is the user's own run; its states are text and its grid a class of ours
        state = torch.load(checkpoint, weights_only=False)
        pieces = []
        last = state["iteration"]
        for iteration in range(max(1, last - MOST_PIECES + 1), last + 1):
            _check_archive(self._piece(iteration))
            with np.load(self._piece(iteration)) as arrays:
                coefficients = arrays["coefficients"]
                shape = (systems, *coefficients.shape[-2:])
                frames = self._read_frames(arrays, systems)
                pieces.append((frames, np.broadcast_to(coefficients, shape)))
        return state, pieces

    def _piece(self, iteration: int) -> Path:
        return self._frames / f"{iteration:05d}.npz"

    @staticmethod
    def _read_frames(arrays: Any, n_systems: int) -> Sequence[Frames]:
        result = []
        for index in range(n_systems):
            values = {
                entry.name: arrays[f"{index}_{entry.name}"] for entry in dataclasses.fields(Frames)
            }
            for name in ("bin_width", "pressure_unit"):
                values[name] = float(values[name])
            result.append(Frames(**values))
        return result


@contextmanager
def _replacing(file: Path, kept: Path | None = None) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of another when it is complete and on the disk; the
    other one becomes `kept`, if that is given."""
    unfinished = file.with_name(file.name + PART)
    try:
        with unfinished.open("wb") as part:
            yield part
            part.flush()
            os.fsync(part.fileno())
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    if kept is not None and file.exists():
        # a second name first: at no moment is there no file
        second = kept.with_name(kept.name + PART)
        second.unlink(missing_ok=True)
        try:
            os.link(file, second)
        except OSError:  # a file system without links
            file.replace(second)
        second.replace(kept)
    unfinished.replace(file)


def _check_archive(file: Path) -> None:
    """Hold the parts of a zip archive against their checksums; raises BadZipFile."""
    with zipfile.ZipFile(file) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"its part {damaged} is damaged")
