"""The YAML configuration of a training."""
