"""LAMMPS's error messages as sentences, and what to do about those that users meet often."""

from __future__ import annotations

import re

PLACE = re.compile(r" *\([^()]*\.(?:cpp|h):\d+\)")
"""Where in LAMMPS's sources, or in this package's, an error was found."""

UNSTABLE = (
    "Atoms move too far in a step: use a smaller time step, or atoms to begin with that do not "
    "overlap."
)
ADVICE = {
    "Lost atoms": UNSTABLE,
    "Non-numeric": UNSTABLE,
    "Must define pair_style before Pair Coeffs": "The data file holds coefficients of the "
    "potential that it was written with: add 'nocoeff' to the end of read_data, and give the "
    "coefficients of bonds and angles in the script.",
    "Cannot redefine variable": "The variables temperature, seed, folder and those of 'variables' "
    "have their values before the script is read: remove the definition, or make it an index-style "
    "variable ('variable temperature index 1.0'), which leaves the value that is there.",
    "KSpace style is incompatible": "The learned potential is the only pair style of a training, "
    "and this version cannot add long-range charges to it: remove the kspace_style.",
    "Cannot open file": "A path that does not begin with a slash is one from the folder in which "
    "diffsim was started: write '${folder}/' in front of a file that lies beside the script.",
    "Cannot reset timestep with": "Steps are counted from zero in each piece of simulation: write "
    "'reset_timestep 0' above the dumps and the fixes that average over time; with targets of the "
    "motion leave these out.",
}
"""What to do about an error of LAMMPS, by a part of its message."""

ADVICE_ALONE = {
    "Specified processors != physical processors": "The script is run once on one process before "
    "anything is simulated: write stars for the numbers of processes, as in 'processors * 1 1'.",
}
"""The same, on one process only."""


def lammps_message(error: Exception) -> str:
    """LAMMPS's message and input line as sentences in one line, without the place in its sources
    and the last full stop."""
    text = getattr(error, "message", None) or str(error)  # that of an abort is quoted by str
    lines = [PLACE.sub("", line).strip().rstrip(".") for line in text.splitlines()]
    return ". ".join(line for line in lines if line and not set(line) <= {"^", " "})


def advice(message: str, alone: bool) -> str:
    """What to do about a message of LAMMPS, behind a blank; empty where that is not known."""
    known = ADVICE | ADVICE_ALONE if alone else ADVICE
    return "".join(f" {known[part]}" for part in known if part in message)
