"""What a simulation records of each frame, and the files of it."""
