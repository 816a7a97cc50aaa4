"""Dialogues about one input: words, numbers, pen strokes or sound, as a whole or while it comes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.data.audio.sound import Sound
from recurra.data.ink.ink import MAX_POINTS, Ink
from recurra.data.sequences.series import Series
from recurra.data.transcripts.item import Item
from recurra.errors import ConfigError, DataError
from recurra.tasks.client_message import ClientMessage
from recurra.tasks.dialogue import Answer, Dialogue, Dialogues, InputKind, Pool, PoolStep, Work
from recurra.tasks.inputs.input import Input
from recurra.tasks.session import Session
from recurra.tasks.shared_weights import SharedWeights

__all__ = ["InputDialogue", "InputDialogues"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

_KINDS: Mapping[str, InputKind] = {
    "text": "text",
    "series": "numbers",
    "ink": "ink",
    "sound": "sound",
}
_MESSAGES = {"text": "text", "numbers": "values", "ink": "points", "sound": "sound"}

RATES = (1_000, 384_000)
"""The lowest and the highest rate of sound, in Hz."""

_WORDS, _STEPS, _POINTS, _SECONDS = 16, 64, 64, 0.25
"""Of the input that is one unit of work."""

_MOST = 4_000_000
"""Numbers that are held of an input whose end is waited for: four minutes of sound at 16 kHz."""


class InputDialogues(Dialogues):
    """A run that answers an input; where its model has no stream, once the input has ended.

    Raises ConfigError for a model of images.
    """

    def __init__(self, how: Input, weights: SharedWeights) -> None:
        if how.kind not in _KINDS:
            raise ConfigError(
                f"The model reads {how.kind}s, which aren't served; use recurra predict."
            )
        self.how: Input = how
        self.weights: SharedWeights = weights
        self.input: InputKind = _KINDS[how.kind]
        try:
            self.session()
        except ConfigError:
            self.streams: bool = False
        self.pool: Pool = _WholeInputs(self)

    @abstractmethod
    def session(self, **options: Any) -> Session[Any, Any]:
        """A stream with the shared weights; ConfigError where the model has none."""

    @abstractmethod
    def shown(
        self, dialogue: InputDialogue, words: Sequence[str], results: Sequence[Any]
    ) -> list[Answer]:
        """The answers of a stream's results, after `words` of a text have come."""

    @abstractmethod
    def whole(self, contents: Sequence[Any]) -> list[list[Answer]]:
        """The answers to each of several whole inputs."""

    @property
    def message(self) -> str:
        """The type of message that an input comes in."""
        return _MESSAGES[self.input]

    def session_options(self, message: ClientMessage) -> dict[str, Any]:
        """Options of the task's streams that `open` may give, but the rate of sound."""
        message.only(*(["rate"] if self.input == "sound" else []))
        return {}

    def input_options(self) -> dict[str, Any]:
        """The channels of series, and whether steps have times; the rate of sound."""
        how: Any = self.how
        if self.input == "numbers":
            return {"channels": list(how.columns.channels), "times": self.times}
        return {"rate": how.rate} if self.input == "sound" else {}

    def open(self) -> InputDialogue:
        """A new client's dialogue."""
        return InputDialogue(self)

    @property
    def columns(self) -> int:
        """Numbers in a row of the input."""
        how: Any = self.how
        return {"ink": 3, "sound": 1}.get(self.input) or len(how.columns.channels)

    @property
    def times(self) -> bool:
        """Whether rows of numbers have times."""
        how: Any = self.how
        return self.input == "numbers" and bool(how.columns.times)

    def content(self, given: Any, rate: int | None) -> Any:
        """A whole input, as the model reads it; DataError where it can't."""
        if self.input == "text":
            return self.how.open(Item("the text", "text", None, data=given))
        if not len(given):
            raise DataError("The input is empty; give something before its end.")
        if self.input == "ink":
            item = Item("the ink", "ink", None, format="memory", data=_ink(given))
        elif self.input == "sound":
            assert rate is not None
            sound = Sound(given[:, 0].astype(np.float32), rate)
            item = Item("the sound", "sound", None, format="memory", data=sound)
        else:
            how: Any = self.how
            times = given[:, -1] if self.times else None
            values, names = given[:, : self.columns], how.columns.channels
            series = Series.of(values, times=times, channels=names)
            item = Item("the series", "series", None, format="memory", data=series)
        return self.how.open(item)


class _WholeInputs(Pool):
    """Whole inputs of several clients, answered as a batch."""

    def __init__(self, dialogues: InputDialogues) -> None:
        self._dialogues = dialogues

    def step(self, items: Sequence[Any]) -> Sequence[list[Answer]]:
        return self._dialogues.whole(items)


class InputDialogue(Dialogue):
    """One client's input, its stream, or what has come of one whose end is waited for."""

    def __init__(self, dialogues: InputDialogues) -> None:
        super().__init__()
        self.dialogues = dialogues
        self._options: dict[str, Any] = {}
        self._opened: dict[str, Any] = {}
        self._held: Floats = np.zeros((0, 0))
        self.session: Session[Any, Any] | None = None
        self._begin()

    @property
    def digest(self) -> str:
        """That of the model."""
        return self.dialogues.weights.digest

    def says(self) -> Mapping[str, Callable[[ClientMessage], Work]]:
        """The message of this kind of input, its end, and a new beginning."""
        return {
            "open": self._open,
            self.dialogues.message: self._text if self.dialogues.input == "text" else self._rows,
            "finish": self._finish,
            "reset": self._reset,
        }

    def model_state(self) -> dict[str, Tensor]:
        """The state of the stream, or the input so far."""
        if self.session is not None:
            return self.session.state()
        return {"held": torch.from_numpy(self._held.copy())}

    def set_model_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `model_state` gave."""
        if self.session is not None:
            self.session.set_state(tensors)
        else:
            self._held = tensors["held"].numpy().copy()

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave, with the options that it was opened with."""
        self._options = dict(self.read_notes(tensors)["options"])
        self._begin()
        super().set_state(tensors)

    def _begin(self) -> None:
        """A new input, with the options that there are."""
        dialogues = self.dialogues
        width = 0 if dialogues.input == "text" else dialogues.columns + dialogues.times
        self._held = np.zeros((0, width))
        self.note_anew(
            options=self._options, ended=False, fed=False, step=0, words=list[str](), text=""
        )
        if dialogues.streams:
            if self.session is None or self._opened != self._options:
                self.session = dialogues.session(**self._options).begun()
                self._opened = dict(self._options)
            else:
                self.session.reset()

    def _open(self, message: ClientMessage) -> Work:
        options = self.dialogues.session_options(message)
        if self.dialogues.input == "sound" and "rate" in message:
            options["rate"] = message.count("rate", None, *RATES)
        self._options = options
        self._begin()
        yield []

    def _reset(self, message: ClientMessage) -> Work:
        message.only()
        self._begin()
        yield []

    def _text(self, message: ClientMessage) -> Work:
        message.only("text", "more")
        text, more = message.text("text"), message.flag("more")
        if self.notes["ended"] or not more:
            self._begin()
        if self.session is None:
            self.notes["text"] += text
            _check_held(len(self.notes["text"]))
            if not more:
                yield from self._answered(self.notes["text"])
            return
        how: Any = self.dialogues.how
        words = [text[token.start : token.stop] for token in how.tokeniser.split(text)]
        if not more and not words:
            raise DataError("The text has no words; give one or more.")
        for first in range(0, len(words), _WORDS):
            part = words[first : first + _WORDS]
            yield self.dialogues.shown(self, part, self.session.feed(part))
        if not more:
            yield from self._ended()

    def _rows(self, message: ClientMessage) -> Work:
        given = self._given(message)
        goes_on = self.dialogues.ends or message.flag("more")
        if self.notes["ended"] or not goes_on:
            self._begin()
        if self.dialogues.input == "sound":
            self._take_rate(message)
        if self.session is None:
            _check_held(self._held.size + given.size)
            self._held = np.concatenate([self._held, given])
            if not goes_on:
                yield from self._answered(self._held)
            return
        for chunk, options in self._units(given):
            yield self.dialogues.shown(self, (), self.session.feed(chunk, **options))
            self.notes["fed"] = True
        if not goes_on:
            yield from self._ended()

    def _given(self, message: ClientMessage) -> Floats:
        """The rows of a message; those of series with their times in the last column."""
        kind = self.dialogues.input
        if kind == "ink":
            message.only("points")
            points = message.rows("points", 3)
            if wrong := np.flatnonzero(~np.isin(points[:, 2], (0, 1))).tolist():
                raise DataError(
                    f"points[{wrong[0]}][2] is {points[wrong[0], 2]:g}; give 1 while the pen is "
                    "down, and 0 at a stroke's last point."
                )
            return points
        if kind == "sound":
            message.only("rate", "samples")
            return message.numbers("samples")[:, None]
        message.only("rows", "times", "more")
        rows = message.rows("rows", self.dialogues.columns, missing=True)
        if not self.dialogues.times:
            if "times" in message:
                raise DataError("The model doesn't use times; leave them out.")
            return rows
        times = message.numbers("times")
        if len(times) != len(rows):
            raise DataError(f"{len(rows)} rows and {len(times)} times; give one for each.")
        return np.concatenate([rows, times[:, None]], 1)

    def _take_rate(self, message: ClientMessage) -> None:
        """The rate of samples; another than before only at the beginning."""
        if "rate" not in message:
            return
        rate = message.count("rate", None, *RATES)
        if rate == self._options.get("rate", self.dialogues.how.rate):
            return
        if self.notes["fed"] or len(self._held):
            raise DataError(
                f"rate is {rate}, and the sound so far had another; finish it or reset first."
            )
        self._options = {**self._options, "rate": rate}
        self._begin()

    def _units(self, given: Floats) -> Iterator[tuple[Any, dict[str, Any]]]:
        """A message's rows in units of work, with the options of feeding them."""
        if self.dialogues.input == "ink":
            for points in _strokes(given):
                for first in range(0, len(points), _POINTS):
                    part = points[first : first + _POINTS]
                    yield part[:, :2], {"pen_up": True} if part[-1, 2] == 0 else {}
        elif self.dialogues.input == "sound":
            rate = self._options.get("rate") or self.dialogues.how.rate or 16_000
            size = max(1, int(_SECONDS * rate))
            for first in range(0, len(given), size):
                yield given[first : first + size, 0].astype(np.float32), {}
        else:
            for first in range(0, len(given), _STEPS):
                part = given[first : first + _STEPS]
                options = {"times": part[:, -1]} if self.dialogues.times else {}
                yield part[:, : self.dialogues.columns], options

    def _finish(self, message: ClientMessage) -> Work:
        message.only()
        if self.notes["ended"]:
            return
        if self.session is not None:
            yield from self._ended()
        else:
            given = self.notes["text"] if self.dialogues.input == "text" else self._held
            yield from self._answered(given)

    def _ended(self) -> Work:
        assert self.session is not None
        self.notes["ended"] = True
        yield self.dialogues.shown(self, (), self.session.finish())

    def _answered(self, given: Any) -> Work:
        """The answers to a whole input."""
        self.notes["ended"] = True
        rate = self._options.get("rate", self.dialogues.how.rate)
        content = self.dialogues.content(given, rate)
        yield (yield PoolStep(self.dialogues.pool, content))


def _check_held(count: int) -> None:
    if count > _MOST:
        raise DataError(
            f"The input has more than {_MOST:,} numbers or characters, and this model reads it as "
            "a whole; reset, and give parts that are shorter."
        )


def _strokes(points: Floats) -> list[Floats]:
    """Points (n, 3) cut after each stroke's last; the last part may be of an open stroke."""
    ends = np.flatnonzero(points[:, 2] == 0) + 1
    return [part for part in np.split(points, ends) if len(part)]


def _ink(points: Floats) -> Ink:
    if len(points) > MAX_POINTS:
        raise DataError(f"The ink has {len(points):,} points; it may have {MAX_POINTS:,}.")
    return Ink(tuple(part[:, :2].copy() for part in _strokes(points)))
