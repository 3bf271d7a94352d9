"""The public names: `__init__.py` takes them from here."""

from . import optimizers as optimizers
from . import potentials as potentials
from . import report as report
from . import response as response
from . import simulation as simulation
from . import statistics as statistics
from . import targets as targets
from . import training as training
from .errors import DiffSimError as DiffSimError
from .simulation.protocol import Protocol as Protocol
from .simulation.system import System as System
from .training.trainer import Trainer as Trainer

__version__: str
