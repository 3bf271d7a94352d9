"""The folder of a run: what is written when, and how a run is taken up again.

config.yaml       the configuration with all defaults and absolute paths
model.pt          the best potential so far; if it depends on temperature, at the reference
                  temperature; diffsim.potentials.TemperatureDependent.load reads both parts
potential.table   the same as a LAMMPS table
*_T300.pt, .table the same for each temperature of the systems, if it depends on temperature
metrics.jsonl     a line for each iteration
checkpoint.pt     weights, optimizer, atoms, the way back; with frames/ all that a resumed run needs
frames/           pair counts of every iteration
lammps/           logs and working files of LAMMPS
*.png             plots
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffsim.errors import InputError
from diffsim.simulation import Frames
from diffsim.training.records import Iteration
from diffsim.training.trainer import Trainer


class RunDirectory:
    """Files of a run.

    Parameters
    ----------
    path
        The folder; made if it does not exist.
    resume
        Whether a run in it is continued.

    Raises
    ------
    InputError
        If the folder holds a run and `resume` is false, or the other way round.
    """

    def __init__(self, path: Path, resume: bool) -> None:
        self.path = path
        if resume and not self._checkpoint.is_file():
            raise InputError(
                f"The folder {path} holds no checkpoint to resume from. Start the run without "
                "--resume."
            )
        if path.exists() and not path.is_dir():
            raise InputError(f"{path} is a file; name a folder for the run with --out.")
        # a start that failed before its first iteration leaves only the working folders
        left = {self.lammps.name, self._frames.name}
        if not resume and path.is_dir() and any(p.name not in left for p in path.iterdir()):
            advice = (
                "Continue the run in it with --resume, or name"
                if self._checkpoint.exists()
                else "Name"
            )
            raise InputError(f"The folder {path} is not empty. {advice} another folder with --out.")
        self.lammps.mkdir(parents=True, exist_ok=True)
        self._frames.mkdir(exist_ok=True)

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

    def write_config(self, text: str) -> None:
        """Keep the resolved configuration."""
        (self.path / "config.yaml").write_text(text)

    def read_config(self) -> str:
        """The configuration that the run was started with."""
        return (self.path / "config.yaml").read_text()

    def append_metrics(self, record: Iteration) -> None:
        """Add the line of an iteration."""
        with self.metrics.open("a") as file:
            file.write(json.dumps(dataclasses.asdict(record)) + "\n")

    def write_checkpoint(self, trainer: Trainer) -> None:
        """Keep the latest frames, with the splines that they were simulated with, and the state of
        the trainer after an iteration."""
        coefficients = np.array([ensemble.latest_coefficients for ensemble in trainer.ensembles])
        same = bool((coefficients == coefficients[0]).all())  # one potential for all systems
        arrays: dict[str, Any] = {"coefficients": coefficients[0] if same else coefficients}
        for index, frames in enumerate(trainer.latest):
            for entry in dataclasses.fields(frames):
                arrays[f"{index}_{entry.name}"] = getattr(frames, entry.name)
        piece = self._piece(trainer.iteration)
        with (unfinished := piece.with_suffix(".part")).open("wb") as file:
            np.savez(file, **arrays)
        unfinished.replace(piece)
        # the checkpoint names the iteration, so that frames without it do no harm
        torch.save(trainer.state_dict(), unfinished := self._checkpoint.with_suffix(".part"))
        unfinished.replace(self._checkpoint)

    def load_checkpoint(self, trainer: Trainer) -> None:
        """Put a trainer into the state of the checkpoint, and drop what was written after it."""
        # the file is the user's own run; its states are text and its grid a class of ours
        try:
            state = torch.load(self._checkpoint, weights_only=False)
        except Exception as error:
            raise InputError(
                f"The checkpoint {self._checkpoint} cannot be read "
                f"({str(error).splitlines()[0]}). Start a new run from {self.model}."
            ) from None
        pieces = []
        for iteration in range(1, state["iteration"] + 1):
            with np.load(self._piece(iteration)) as arrays:
                coefficients = arrays["coefficients"]
                shape = (len(trainer.systems), *coefficients.shape[-2:])
                frames = self._read_frames(arrays, len(trainer.systems))
                pieces.append((frames, np.broadcast_to(coefficients, shape)))
        trainer.load_state_dict(state, pieces)
        lines = self.metrics.read_text().splitlines()[: state["iteration"]]
        self.metrics.write_text("".join(line + "\n" for line in lines))

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
