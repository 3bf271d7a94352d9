"""All that knows LAMMPS: its scripts, instances, messages and devices."""
