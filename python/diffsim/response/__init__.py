"""How averages answer to the potential: ensembles of frames, gradients, linear response."""
