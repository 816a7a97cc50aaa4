"""Checks of the arguments of recurrent layers. Errors are torch's own if it has one."""

import numbers
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = [
    "check_clip",
    "check_dropout",
    "check_dtype",
    "check_flags",
    "check_input_size",
    "check_lengths",
    "check_module",
    "check_resets",
    "check_share",
    "check_sizes",
    "check_steps",
    "check_whole",
    "described",
    "of_another_batch",
]


def described(value: object) -> str:
    """An argument of a wrong kind as a message names it: a class by its name.

    >>> described(dict), described({})
    ('the class dict', 'a value of type dict')
    """
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"a value of type {type(value).__name__}"


def check_dropout(dropout: object, num_layers: int, *, callers: int) -> None:
    """Raise ValueError unless dropout is a share; warn if there is no layer to apply it to.

    The warning points at the line `callers` functions above the one that checks.
    """
    is_number = isinstance(dropout, numbers.Real) and not isinstance(dropout, bool)
    if not is_number or not 0 <= float(dropout) <= 1:  # type: ignore[arg-type]
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an "
            "element being zeroed"
        )
    if float(dropout) > 0 and num_layers == 1:  # type: ignore[arg-type]
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout "
            f"expects num_layers greater than 1, but got dropout={dropout} and "
            f"num_layers={num_layers}",
            stacklevel=2 + callers,
        )


def check_clip(bptt_clip: object) -> None:
    """Raise ValueError unless a clip is None or a positive number."""
    is_number = isinstance(bptt_clip, numbers.Real) and not isinstance(bptt_clip, bool)
    if bptt_clip is not None and not (is_number and float(bptt_clip) > 0):  # type: ignore[arg-type]
        raise ValueError(f"bptt_clip is {bptt_clip!r}; it must be a positive number, or None")


def check_module(caller: str, model: object) -> None:
    """Raise TypeError for a model that is not a module: its class, say."""
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"{caller}: model is {described(model)}; give a torch.nn.Module")


def check_share(name: str, share: object) -> None:
    """Raise ValueError unless `share` is a number from 0 to 1."""
    is_number = isinstance(share, numbers.Real) and not isinstance(share, bool)
    if not is_number or not 0 <= float(share) <= 1:  # type: ignore[arg-type]
        raise ValueError(f"{name} is {share!r}; it must be a number from 0 to 1")


def check_flags(**flags: object) -> None:
    """Raise TypeError for a flag that isn't a bool."""
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise TypeError(f"{name} should be of type bool, got: {type(flag).__name__}")


def check_whole(**sizes: object) -> None:
    """Raise TypeError for a size that isn't an int; a flag in its place isn't one."""
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool):
            raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")


def check_sizes(
    input_size: object, hidden_size: object, num_layers: object, proj_size: int = 0
) -> None:
    """Raise TypeError or ValueError for an invalid size."""
    sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
    check_whole(**sizes, proj_size=proj_size)
    for name, size in sizes.items():
        if size <= 0:  # type: ignore[operator]
            raise ValueError(f"{name} must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    assert isinstance(hidden_size, int)
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")


def check_dtype(input: Tensor, weight: Tensor) -> None:
    """Raise ValueError for an input of another dtype than the weights, except under autocast."""
    if input.dtype != weight.dtype and not torch._C._is_any_autocast_enabled():
        raise ValueError(
            f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). "
            f"Convert input: input.to({weight.dtype}), or convert model: model.to({input.dtype})"
        )


def check_input_size(input: Tensor, input_size: int) -> None:
    """Raise RuntimeError for an input whose last dimension is not the layer's input size."""
    if input.size(-1) != input_size:
        raise RuntimeError(
            f"input.size(-1) must be equal to input_size. Expected {input_size}, "
            f"got {input.size(-1)}"
        )


def check_steps(input: Tensor) -> None:
    """Raise RuntimeError for an input (T, B, I) without a step."""
    if input.size(0) == 0:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")


def of_another_batch(expected: Sequence[int], given: Sequence[int]) -> str:
    """The remedy, to follow torch's text, for states (L*D, B, size) that fit but for their B."""
    if len(given) != 3 or (given[0], given[2]) != (expected[0], expected[2]):
        return ""
    return (
        f"\nThese states are of {given[1]} sequences and the input has {expected[1]}. Where states "
        "are carried from batch to batch, every batch must have as many (leave out a smaller last "
        "one); for sequences that begin here pass None."
    )


def check_lengths(lengths: Tensor | Sequence[int], steps: int, batch: int) -> Tensor:
    """Lengths as a tensor (B,). Raises TypeError or ValueError if they don't fit the input.

    A compiled graph checks their values as it runs, and raises RuntimeError.
    """
    lengths = torch.as_tensor(lengths)
    if lengths.numel() == 0:
        lengths = lengths.long()  # of no number torch makes floats
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise TypeError(f"lengths must be whole numbers, got {lengths.dtype}")
    lengths = lengths.reshape(1) if lengths.dim() == 0 and batch == 1 else lengths
    if lengths.shape != (batch,):
        raise ValueError(
            f"lengths must have shape ({batch},), one for each sequence, got {tuple(lengths.shape)}"
        )
    if torch.compiler.is_compiling():
        inside = ((lengths >= 0) & (lengths <= steps)).all()
        torch._assert_async(inside, "lengths must lie between 0 and the steps of the input")
    elif batch and (int(lengths.min()) < 0 or int(lengths.max()) > steps):
        raise ValueError(
            f"lengths must lie between 0 and the {steps} steps of the input, got "
            f"{int(lengths.min())} to {int(lengths.max())}"
        )
    return lengths


def check_resets(resets: Tensor, steps: int, batch: int, batch_first: bool) -> Tensor:
    """Resets as (T, B). Raises TypeError or ValueError if they don't fit the input."""
    if not isinstance(resets, Tensor) or resets.dtype != torch.bool:
        given = resets.dtype if isinstance(resets, Tensor) else type(resets).__name__
        raise TypeError(f"resets must be a tensor of torch.bool, got {given}")
    if resets.dim() == 1 and batch == 1:
        resets = resets.unsqueeze(1)
    elif batch_first and resets.dim() == 2:
        resets = resets.transpose(0, 1)
    if resets.shape != (steps, batch):
        wanted = f"({batch}, {steps})" if batch_first else f"({steps}, {batch})"
        raise ValueError(f"resets must have shape {wanted}, one mark for each step of the input")
    return resets
