"""The command ``diffsim``: one file for each of its subcommands."""
