"""Who simulates: this process, or all processes of an MPI job."""
