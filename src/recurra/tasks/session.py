"""Sessions: the streaming state of one client, fed step by step, saved and restored."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Generic, Self, TypeVar

from torch import Tensor, nn

from recurra.errors import RunError
from recurra.runs.saving import from_bytes, metadata_of, to_bytes

__all__ = ["Resumable", "Session", "weights_digest"]

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

_FORMAT = "recurra session 1"
"""The one key of a saved session's metadata; the digest of its model is the value."""


class Resumable(ABC):
    """The state of a stream, as bytes."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """That of the model, which alone restores what was saved."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Everything the stream depends on, as tensors by name."""

    @abstractmethod
    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""

    def save(self) -> bytes:
        """The stream as it is now, as bytes that `restore` reads."""
        return to_bytes(self.state(), {_FORMAT: self.digest})

    def restore(self, saved: bytes) -> None:
        """Go back to a saved state, perhaps in another process.

        Raises RunError for bytes that are not a saved session, or those of another model's.
        """
        about = metadata_of(saved)
        if _FORMAT not in about:
            raise RunError("These bytes are not a saved session; give what `save` returned.")
        if about[_FORMAT] != self.digest:
            raise RunError(
                "The session was saved by another model, or by other weights; restore it with the "
                "run that saved it."
            )
        self.set_state(from_bytes(saved, "the saved session"))


class Session(Resumable, Generic[Chunk, Result]):
    """A stream: `feed` takes what has come and gives the results that it settles.

    Whatever the chunks, the results are those of the whole sequence.
    """

    _beginning: Mapping[str, Tensor] = {}

    def __init__(self, digest: str) -> None:
        self._digest = digest

    @property
    def digest(self) -> str:
        """That of the model, which alone restores what was saved."""
        return self._digest

    @abstractmethod
    def feed(self, chunk: Chunk) -> list[Result]:
        """Read what has come; the results that are settled by it, oldest first."""

    def finish(self) -> list[Result]:
        """End the stream: the results that were waiting for more."""
        return []

    def begun(self) -> Self:
        """Itself, knowing its present state as the one that `reset` goes back to."""
        self._beginning = {name: tensor.clone() for name, tensor in self.state().items()}
        return self

    def reset(self) -> None:
        """Go back to the beginning: the next chunk is the first of another stream."""
        self.set_state({name: tensor.clone() for name, tensor in self._beginning.items()})


def weights_digest(models: Sequence[nn.Module]) -> str:
    """The SHA-256 of all parameters and buffers, by which sessions know their model."""
    total = hashlib.sha256()
    for model in models:
        for name, tensor in sorted(model.state_dict().items()):
            total.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
            total.update(to_bytes({"": tensor}))
    return total.hexdigest()
