"""``diffsim train``: learn a potential as a configuration file says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    config: Annotated[Path, typer.Argument(help="Configuration of the training (YAML).")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run.", show_default="runs/NAME for NAME.yaml"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder.")
    ] = False,
) -> None:
    """Learn a potential as a configuration file says."""
    from diffsim.training.config import load_config

    settings = load_config(config)
    from diffsim.training.run import run_training  # takes seconds; a wrong key shows at once

    folder = Path("runs") / config.stem if out is None else out
    run_training(settings, out=folder, resume=resume)
