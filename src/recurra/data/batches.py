"""Contiguous streams: one long text cut into rows, read in windows from left to right."""

from typing import NamedTuple

from torch import Tensor

from recurra.errors import DataError

__all__ = ["Streams", "Window"]


class Window(NamedTuple):
    """Inputs and targets of one window, both (T, B): a target is the token after its input."""

    inputs: Tensor
    targets: Tensor


class Streams:
    """A text of N tokens as B rows of equal length, seen through windows of T steps.

    Each window continues where the one before it ended, so a state may be carried from one to the
    next; the last may be shorter. Fewer than B tokens at the text's end go unused.

    Args:
        ids: the tokens, int64, of shape (N,).
        rows: how many rows, B.
        window: steps in a window, T; 0 for rows in one piece (full BPTT).

    Raises:
        DataError: the text is shorter than one window of B rows.

    Example:
        >>> import torch
        >>> Streams(torch.arange(9), rows=2, window=2).window(0, 1).inputs.tolist()
        [[2, 6], [3, 7]]
    """

    def __init__(self, ids: Tensor, *, rows: int, window: int) -> None:
        steps = (len(ids) - 1) // rows
        if steps < max(window, 1):
            raise DataError(_too_short(len(ids), rows, window))
        self._inputs = ids[: steps * rows].view(rows, steps).t()
        self._targets = ids[1 : steps * rows + 1].view(rows, steps).t()
        self._window = window or steps

    def __len__(self) -> int:
        """Windows in one epoch."""
        return -(-len(self._inputs) // self._window)

    def window(self, epoch: int, index: int) -> Window:
        """Window `index` of any epoch: every epoch reads the text in the same order."""
        steps = slice(index * self._window, (index + 1) * self._window)
        return Window(self._inputs[steps].contiguous(), self._targets[steps].contiguous())


def _too_short(tokens: int, rows: int, window: int) -> str:
    return (
        f"The text has {tokens} tokens, and {rows} rows with windows of {max(window, 1)} steps "
        f"need {rows * max(window, 1) + 1}; give more text, or lower batch_size or window."
    )
