"""A training from a configuration, in a folder, with its progress on the terminal."""
