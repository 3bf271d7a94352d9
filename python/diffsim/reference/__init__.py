"""Targets from trajectories."""
