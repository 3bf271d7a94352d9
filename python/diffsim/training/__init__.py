"""Training of potentials: `trainer` for Python, `config` and `run` for configuration files."""
