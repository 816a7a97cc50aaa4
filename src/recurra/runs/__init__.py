"""A run on disk: the directory that a training writes and everything else reads."""

from recurra.runs.run import Run

__all__ = ["Run"]
