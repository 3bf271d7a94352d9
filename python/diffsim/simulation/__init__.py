"""Simulation of systems with LAMMPS."""

from diffsim.simulation.frames import Frames
from diffsim.simulation.lammps_engine import Recording, lammps_instance, simulate
from diffsim.simulation.system import System

__all__ = ["Frames", "Recording", "System", "lammps_instance", "simulate"]
