"""Statistics of frames, as functions of arrays."""
