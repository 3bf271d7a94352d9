"""Simulation of systems with LAMMPS."""

from diffsim.simulation.frames import Frames, concatenate, part
from diffsim.simulation.inspection import Box, inspect, rdf_bins
from diffsim.simulation.lammps_engine import Recording, lammps_instance, simulate
from diffsim.simulation.system import System
from diffsim.simulation.window_engine import simulate_windows

__all__ = [
    "Box",
    "Frames",
    "Recording",
    "System",
    "concatenate",
    "inspect",
    "lammps_instance",
    "part",
    "rdf_bins",
    "simulate",
    "simulate_windows",
]
