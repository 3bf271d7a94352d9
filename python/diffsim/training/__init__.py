"""Training runs: the configuration, the trainer and the run directory."""
