"""Learn pair potentials from structure with LAMMPS.

>>> import diffsim
>>> potential = diffsim.potentials.Neural(species=["A"], cutoff=2.5, units="lj")
>>> target = diffsim.targets.RDF.from_file("rdf.csv", pair=("A", "A"))
>>> system = diffsim.System("in.lj", temperature=1.0, targets=[target])
>>> trainer = diffsim.Trainer(potential, [system], optimizer="gauss-newton")
>>> trainer.fit(iterations=10)
>>> potential.save("lj.pt")

The public names are those of ``__init__.pyi``. They are imported when they are first used: every
program that imports `lammps` also imports this package, for the plugin's folder, and must not pay
for torch.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
