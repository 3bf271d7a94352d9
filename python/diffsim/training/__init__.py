"""Training of potentials: `trainer` for Python, `config` and `run` for configuration files;
`mpi_pool.run_parallel` for many processes."""
