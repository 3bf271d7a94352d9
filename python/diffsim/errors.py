"""The exceptions that users of DiffSim meet."""

from __future__ import annotations


class DiffSimError(Exception):
    """Base class of every error that DiffSim raises on purpose.

    Its text is one or more full sentences: what was expected, what was found, what to do.
    The command line prints it on one line without a traceback.
    """


class InputError(DiffSimError, ValueError):
    """A file, a configuration key or an argument does not say what it has to say."""


class ModelError(DiffSimError):
    """A model file does not keep the model contract (signature, attributes, finite energies)."""


class AbortedError(DiffSimError):
    """LAMMPS stopped on some of the processes that simulate together; the others wait for it.

    Nothing but the end of all processes (``MPI_Abort``) helps.
    """


class StorageError(DiffSimError):
    """A file of a run cannot be written or read."""


class SimulationError(DiffSimError):
    """LAMMPS stopped with an error; the text holds LAMMPS's own message and input line."""


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


MISTAKE = 2
"""Exit status where the user has to mend something first, as for an unknown option: to try again is
of no use."""

STOPPED = 75
"""Exit status of a training that stopped when asked to: EX_TEMPFAIL of BSD's sysexits.h."""


INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells expect it."""


class InterruptError(DiffSimError):
    """The training was ended by Ctrl-C; the text says what is left of it."""


class StoppedError(DiffSimError):
    """The training stopped since it was asked to; it goes on with ``--resume``."""
