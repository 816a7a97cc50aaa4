"""A run on disk: the directory, its files, and how they are written."""
