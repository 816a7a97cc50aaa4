"""A run as a server has it: its name, its worker, and the places for clients."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from recurra.deploy.serve.kept_states import KeptStates
from recurra.deploy.serve.model_worker import Busy, MessageJob, ModelWorker
from recurra.deploy.serve.serve_metrics import ServeMetrics
from recurra.deploy.serve.serve_options import ServeOptions
from recurra.errors import DataError
from recurra.tasks.client_message import ClientMessage
from recurra.tasks.dialogue import Dialogue, Dialogues, Work

__all__ = ["Places", "ServedRun", "parsed", "whole_input"]


class Places:
    """At most `most` clients at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken: int = 0

    def take(self) -> None:
        """Take a place; Busy where there is none."""
        if self.taken >= self._most:
            raise Busy(
                f"{self._most:,} streams and requests are under way, and more can't be; try again "
                "in a few seconds."
            )
        self.taken += 1

    def give_back(self) -> None:
        """Free a place."""
        self.taken -= 1


class ServedRun:
    """A run with the thread that works for its clients."""

    def __init__(
        self,
        name: str,
        dialogues: Dialogues,
        options: ServeOptions,
        metrics: ServeMetrics,
        kept: KeptStates,
    ) -> None:
        self.name: str = name
        self.dialogues: Dialogues = dialogues
        self.kept: KeptStates = kept
        self.metrics: ServeMetrics = metrics
        self.worker: ModelWorker = ModelWorker(name, dialogues, options.queue, metrics)

    def describe(self) -> dict[str, Any]:
        """The run as `GET /runs` lists it."""
        return {"name": self.name, "verb": self.dialogues.verb, **self.dialogues.describe()}

    async def open(self) -> Dialogue:
        """A new client's dialogue."""
        return await self.worker.call(self.dialogues.open)

    async def close(self, dialogue: Dialogue) -> None:
        """The dialogue's end."""
        await self.worker.call(dialogue.close)

    def ask(self, begin: Callable[[], Work]) -> MessageJob:
        """Begin to work on a message; Busy where too much is under way."""
        return self.worker.submit(begin)

    async def save(self, dialogue: Dialogue, name: str) -> None:
        """Keep the state of a dialogue by a name."""
        await self.kept.keep(self.name, name, await self.worker.call(dialogue.save))

    async def restore(self, dialogue: Dialogue, name: str) -> None:
        """Go back to a state; DataError where none has the name, RunError for another model's."""
        data = self.kept.state(self.name, name)
        await self.worker.call(lambda: dialogue.restore(data))


def whole_input(dialogue: Dialogue, message: ClientMessage, *, ends: bool) -> Work:
    """The work of a message that is all there is; of one whose input has to be finished, both."""
    yield from dialogue.work(message)
    if ends:
        yield from dialogue.work(ClientMessage({"type": "finish"}))


def parsed(text: str | bytes) -> Mapping[str, Any]:
    """A JSON object; DataError for any other text."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"The message isn't JSON ({error.msg} at character {error.pos + 1}); send an object."
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError("The message isn't JSON that can be read; send an object.") from error
    if not isinstance(value, dict):
        raise DataError(f"The message is a JSON {type(value).__name__}; send an object.")
    return value
