"""Simulation of systems with LAMMPS."""

from diffsim.lammps.engine import Recording, simulate
from diffsim.lammps.instance import lammps_instance
from diffsim.lammps.window_engine import simulate_windows
from diffsim.records.frames import Frames, concatenate, part
from diffsim.simulation.inspection import Box, inspect, rdf_bins
from diffsim.simulation.system import System

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
