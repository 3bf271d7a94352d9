"""Learn pair potentials from structure with LAMMPS.

>>> import diffsim
>>> potential = diffsim.potentials.Neural(species=["A"], cutoff=2.5, units="lj")
>>> target = diffsim.targets.RDF.from_file("rdf.csv", pair=("A", "A"))
>>> system = diffsim.System("in.lj", temperature=1.0, targets=[target])
>>> trainer = diffsim.Trainer(potential, [system], optimizer="gauss-newton")
>>> trainer.fit(iterations=10)
>>> potential.save("lj.pt")

Names are imported when they are first used: every program that imports `lammps` also imports this
package, for the plugin's folder, and must not pay for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffsim import gradients, optimizers, potentials, report, simulation, targets, training
    from diffsim.errors import DiffSimError
    from diffsim.simulation import System
    from diffsim.training.records import Protocol
    from diffsim.training.trainer import Trainer

__version__ = "0.1.0"

_MODULES = (
    "gradients",
    "optimizers",
    "potentials",
    "report",
    "simulation",
    "targets",
    "training",
)
_CLASSES = {
    "DiffSimError": "diffsim.errors",
    "Protocol": "diffsim.training.records",
    "System": "diffsim.simulation",
    "Trainer": "diffsim.training.trainer",
}

__all__ = [
    "DiffSimError",
    "Protocol",
    "System",
    "Trainer",
    "gradients",
    "optimizers",
    "potentials",
    "report",
    "simulation",
    "targets",
    "training",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"diffsim.{name}")
    if name in _CLASSES:
        return getattr(import_module(_CLASSES[name]), name)
    raise AttributeError(f"module 'diffsim' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES, *_CLASSES])
