"""Base of all recurrent modules: what it tells those of torch's tools that can't treat them."""

import warnings
from typing import NoReturn

from torch import nn

__all__ = ["RecurrentModule"]


class RecurrentModule(nn.Module):
    """A module that torch can't script, nor quantise, and that says so."""

    def __prepare_scriptable__(self) -> NoReturn:
        """Raise NotImplementedError: torch.jit.script calls this first."""
        raise NotImplementedError(
            f"torch.jit.script can't compile {type(self).__name__}, whose equations are compiled "
            "already; use torch.jit.trace or torch.export, which record it as torch's operations."
        )

    @property
    def qconfig(self) -> NoReturn:
        """None has it: torch's quantisation sets it on every module, here with a warning alone."""
        raise AttributeError(f"{type(self).__name__} has no attribute 'qconfig'")

    @qconfig.setter
    def qconfig(self, value: object) -> None:
        warnings.warn(
            f"torch's quantisation leaves {type(self).__name__} as it is, since it knows torch's "
            "own layers alone; quantise the model with torch.nn's layers, before "
            "recurra.accelerate, which leaves quantised ones alone.",
            stacklevel=2,
        )
