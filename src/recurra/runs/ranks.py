"""Ranks: the processes of one training, as torchrun starts them, and their messages.

Rank 0 writes the run, and all take the same decisions. Each function that communicates is called by
every rank, in the same order. A process alone has rank 0 of 1 and never communicates.
"""

import contextlib
import functools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from recurra import errors, settings
from recurra.errors import MissingExtra, RecurraError, TrainingError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributed import ProcessGroup

__all__ = [
    "add_",
    "copy_from_first_",
    "exchange",
    "leave",
    "numbers",
    "on_first",
    "rank",
    "share",
    "wait",
    "world_size",
]

Value = TypeVar("Value")

_TIMEOUT = timedelta(hours=6)
"""The others wait so long for rank 0, which may be validating on much data."""


def rank() -> int:
    """The number of this process, from 0."""
    return _place()[0]


def world_size() -> int:
    """The number of processes that train together."""
    return _place()[1]


def numbers(values: Sequence[float]) -> list[list[float]]:
    """The numbers of every rank, by rank; each gives as many."""
    if world_size() == 1:
        return [list(values)]
    import torch

    own = torch.tensor(values, dtype=torch.float64)
    return [tensor.tolist() for tensor in _gathered(own)]


def exchange(data: bytes) -> list[bytes]:
    """The bytes of every rank, by rank."""
    if world_size() == 1:
        return [data]
    import torch

    sizes = [int(size) for (size,) in numbers([len(data)])]
    padded = bytearray(data.ljust(max(*sizes, 1), b"\0"))
    parts = _gathered(torch.frombuffer(padded, dtype=torch.uint8))
    return [part.numpy().tobytes()[:size] for part, size in zip(parts, sizes, strict=True)]


def share(value: Any) -> list[Any]:
    """The value of every rank, by rank: anything that JSON can hold."""
    if world_size() == 1:
        return [value]
    return [json.loads(data) for data in exchange(json.dumps(value).encode())]


def wait() -> None:
    """Wait until every rank is here."""
    share(None)


def on_first(call: Callable[[], Value]) -> Value:
    """Call a function on rank 0 alone; every rank gets its value, JSON, or raises its error."""
    if world_size() == 1:
        return call()
    if rank() == 0:
        try:
            value = call()
        except BaseException as error:
            share(_described(error))
            raise
        share({"value": value})
        return value
    outcome = share(None)[0]
    if "value" not in outcome:
        raise _error(**outcome)
    result: Value = outcome["value"]
    return result


def add_(tensors: Sequence["Tensor"]) -> None:
    """Replace each tensor by its sum over all ranks."""
    import torch
    import torch.distributed as dist

    for part in _by_kind(tensors):
        # In float32 at least: sums of 16-bit floats lose what single ranks contribute.
        kind = torch.promote_types(part[0].dtype, torch.float32)
        flat = torch.cat([tensor.detach().reshape(-1).to(kind) for tensor in part])
        with _reachable():
            dist.all_reduce(flat, group=_group_for(flat))
        for tensor, total in zip(part, flat.split([t.numel() for t in part]), strict=True):  # type: ignore[no-untyped-call]
            tensor.copy_(total.view_as(tensor))


def copy_from_first_(tensors: Sequence["Tensor"]) -> None:
    """Replace each tensor by that of rank 0."""
    import torch
    import torch.distributed as dist

    for tensor in tensors:
        values = tensor.detach().contiguous()
        values = values.to(torch.uint8) if values.dtype is torch.bool else values
        with _reachable():
            dist.broadcast(values, 0, group=_group_for(values))
        tensor.detach().copy_(values)


def leave() -> None:
    """Wait for the other ranks before this process ends: torchrun kills those that are left."""
    dist = sys.modules.get("torch.distributed")
    if dist is not None and dist.is_initialized() and world_size() > 1:
        with contextlib.suppress(TrainingError):
            wait()
        _talk.cache_clear()
        dist.destroy_process_group()


def _place() -> tuple[int, int]:
    """Rank and number of ranks: torch's where they are connected already, else torchrun's."""
    dist = sys.modules.get("torch.distributed")
    if dist is not None and dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return settings.launched()[:2]


@functools.cache
def _talk() -> "ProcessGroup":
    """The group for what is not on a GPU, made by all ranks at once."""
    import torch.distributed as dist

    if not dist.is_initialized():
        _join()
    group: ProcessGroup = dist.new_group(backend="gloo", timeout=_TIMEOUT)
    return group


def _join() -> None:
    import torch
    import torch.distributed as dist

    own = settings.launched()
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(own.local_rank % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl"
    try:
        dist.init_process_group(backend, timeout=_TIMEOUT)
    except (ValueError, RuntimeError) as error:
        raise TrainingError(
            f"The {own.world_size} processes of this training can't reach one another: {error}; "
            "start them with torchrun."
        ) from error


def _group_for(tensor: "Tensor") -> "ProcessGroup | None":
    return _talk() if tensor.device.type == "cpu" else None


def _gathered(own: "Tensor") -> list["Tensor"]:
    import torch
    import torch.distributed as dist

    group = _talk()
    parts = [torch.empty_like(own) for _ in range(world_size())]
    with _reachable():
        dist.all_gather(parts, own, group=group)
    return parts


@contextlib.contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(
            "Another process of this training has ended, and what it printed says why; resume "
            "with --resume (from Python: resume=True)."
        ) from error


def _by_kind(tensors: Sequence["Tensor"]) -> list[list["Tensor"]]:
    """Group the tensors by device and dtype."""
    kinds: dict[Any, list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault((tensor.device, tensor.dtype), []).append(tensor)
    return list(kinds.values())


def _described(error: BaseException) -> dict[str, str]:
    kind = "KeyboardInterrupt" if isinstance(error, KeyboardInterrupt) else type(error).__name__
    return {"kind": kind, "text": str(error)}


def _error(kind: str, text: str) -> BaseException:
    if kind == "KeyboardInterrupt":
        return KeyboardInterrupt()
    known = getattr(errors, kind, None)
    if isinstance(known, type) and issubclass(known, RecurraError) and known is not MissingExtra:
        return known(text)
    return TrainingError(f"Rank 0 failed: {kind}: {text}")
