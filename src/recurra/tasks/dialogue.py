"""Dialogues: a trained model as its clients talk to it, in messages that are JSON objects.

A server, or whoever else, hands messages in and passes answers on; it knows no task.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor

from recurra.errors import DataError
from recurra.tasks.client_message import ClientMessage
from recurra.tasks.session import Resumable

__all__ = ["Answer", "Dialogue", "Dialogues", "InputKind", "Pool", "PoolStep", "Work", "say"]

InputKind: TypeAlias = Literal["text", "numbers", "ink", "sound"]

Answer: TypeAlias = dict[str, Any]
"""A JSON object with a `type`."""


class Pool(ABC):
    """What the dialogues of a run do together: one step of many of them."""

    @abstractmethod
    def step(self, items: Sequence[Any]) -> Sequence[Any]:
        """The result of each item, which don't depend on one another."""


@dataclass(frozen=True)
class PoolStep:
    """An item of a pool's step; its result is sent back to the work that yielded it."""

    pool: Pool
    item: Any


Work: TypeAlias = Generator[list[Answer] | PoolStep, Any, None]
"""What a message asks for, in units that take milliseconds; closed, it ends between two of them."""

_NOTES = "dialogue"


class Dialogue(Resumable):
    """One client's dialogue: `work` does what a message asks for.

    `notes` are JSON values that travel with the state.
    """

    def __init__(self) -> None:
        self.notes: dict[str, Any] = {}

    @abstractmethod
    def says(self) -> Mapping[str, Callable[[ClientMessage], Work]]:
        """What each type of message does."""

    def work(self, message: ClientMessage) -> Work:
        """The answers to a message; DataError or ConfigError for one that can't be."""
        known = self.says()
        if message.kind not in known:
            raise DataError(
                f"A message of type {message.kind[:40]!r}; this run takes {', '.join(known)}."
            )
        return known[message.kind](message)

    @abstractmethod
    def model_state(self) -> dict[str, Tensor]:
        """The state of the model's stream."""

    @abstractmethod
    def set_model_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `model_state` gave."""

    def state(self) -> dict[str, Tensor]:
        """The state of the stream, with the notes."""
        notes = torch.tensor(list(json.dumps(self.notes).encode()), dtype=torch.uint8)
        return {**self.model_state(), _NOTES: notes}

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        self.set_model_state({n: value for n, value in tensors.items() if n != _NOTES})
        self.notes = self.read_notes(tensors)

    def read_notes(self, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
        """The notes in a state."""
        notes: dict[str, Any] = json.loads(bytes(tensors[_NOTES].tolist()))
        return notes

    def note_anew(self, **notes: Any) -> None:
        """Take these notes in place of all there are."""
        self.notes = notes

    def begin(self) -> list[Answer]:
        """The answers that come before any message."""
        return []

    def close(self) -> None:
        """Give back what is shared; nothing is asked afterwards."""


class Dialogues(ABC):
    """A run as it is served: what it is, and a dialogue for each client."""

    task: ClassVar[str]
    """The name of the run's task."""

    verb: ClassVar[str]
    """What a request does: classify, generate, ..."""

    input: InputKind = "text"
    """The kind of input."""

    streams: bool = True
    """Whether answers come before the end of the input."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Facts of the run that a client needs, as JSON values."""

    @abstractmethod
    def open(self) -> Dialogue:
        """A new client's dialogue; ConfigError where there is no place for one."""

    @property
    @abstractmethod
    def message(self) -> str:
        """The type of message that a request is."""

    @property
    def ends(self) -> bool:
        """Whether a whole input of that message has to be finished."""
        return self.input in ("ink", "sound")

    def describe(self) -> dict[str, Any]:
        """The run as clients see it."""
        return {
            "task": self.task,
            "input": self.input,
            "streams": self.streams,
            "options": self.options(),
        }


def say(dialogue: Dialogue, fields: Mapping[str, Any]) -> list[Answer]:
    """All answers to one message, computed here and now."""
    work, found = dialogue.work(ClientMessage(fields)), list[Answer]()
    result: Any = None
    while True:
        try:
            part = work.send(result)
        except StopIteration:
            return found
        result = None
        if isinstance(part, PoolStep):
            (result,) = part.pool.step([part.item])
        else:
            found += part
