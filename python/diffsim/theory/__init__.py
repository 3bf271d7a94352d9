"""The theory of simple liquids, as functions of arrays."""
