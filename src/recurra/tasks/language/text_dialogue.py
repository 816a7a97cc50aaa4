"""A language model as its clients talk to it: text that is read, and text that continues it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from recurra.config.options import check_seed
from recurra.data.vocabulary import Vocabulary
from recurra.decoding.sampling import sample
from recurra.decoding.sampling_options import check_sampling
from recurra.errors import DataError
from recurra.tasks.client_message import ClientMessage
from recurra.tasks.dialogue import Answer, Dialogue, Dialogues, PoolStep, Work
from recurra.tasks.language.text_pool import TextPool
from recurra.tasks.language.text_session import barred_tokens, lines_of, settled

__all__ = ["TextDialogues"]

_LONGEST, _UNITS = 100_000, 4_096
"""Tokens of an answer, and values of the hidden state, at most."""

_FIELDS = ("text", "more", "length", "temperature", "top_k", "top_p", "seed", "read", "state")


class TextDialogues(Dialogues):
    """Dialogues with a language model, stepped together; `token` answers."""

    task = "language"
    verb = "generate"

    def __init__(self, model: nn.Module, vocabulary: Vocabulary, most: int) -> None:
        self.vocabulary = vocabulary
        self.pool: TextPool = TextPool(model, vocabulary, most)
        self.barred: Tensor = barred_tokens(vocabulary, (), unknown=False)

    def options(self) -> dict[str, Any]:
        """The level of tokens, how many there are, and the size of the hidden state."""
        return {
            "level": self.vocabulary.level,
            "tokens": len(self.vocabulary),
            "units": self.pool.outputs.shape[1],
            "most_length": _LONGEST,
        }

    def open(self) -> Dialogue:
        """A new client's dialogue, with a row of the pool."""
        return _TextDialogue(self)

    @property
    def message(self) -> str:
        """The type of message that a request is."""
        return "text"


class _TextDialogue(Dialogue):
    def __init__(self, dialogues: TextDialogues) -> None:
        super().__init__()
        self._dialogues, self._pool = dialogues, dialogues.pool
        self._vocabulary = dialogues.vocabulary
        self._row = self._pool.take()
        self._begin()

    @property
    def digest(self) -> str:
        """That of the model."""
        return self._pool.digest

    def says(self) -> Mapping[str, Callable[[ClientMessage], Work]]:
        """Text, the end of its last word, and a new beginning."""
        return {
            "open": self._reset,
            "text": self._text,
            "finish": self._finish,
            "reset": self._reset,
        }

    def model_state(self) -> dict[str, Tensor]:
        """States and logits, and the text that waits."""
        waiting = list(self.notes["waiting"].encode())
        tensors = self._pool.state_of(self._row)
        return tensors | {
            "waiting": torch.tensor(waiting, dtype=torch.uint8),
            "unknown": torch.tensor(0),
        }

    def set_model_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `model_state` gave."""
        self._pool.set_state_of(self._row, tensors)

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave; the text goes on at a token's start."""
        super().set_state(tensors)
        self._decoder = self._vocabulary.decoder()

    def close(self) -> None:
        """Free the row."""
        self._pool.give_back(self._row)

    def _begin(self) -> None:
        self._pool.reset(self._row)
        self._decoder = self._vocabulary.decoder()
        self.note_anew(waiting="", begun=False, ended=False)

    def _reset(self, message: ClientMessage) -> Work:
        message.only()
        self._begin()
        yield []

    def _finish(self, message: ClientMessage) -> Work:
        message.only()
        yield from self._flush(told=False, units=0)
        self.notes["ended"] = True

    def _text(self, message: ClientMessage) -> Work:
        message.only(*_FIELDS)
        text = message.text("text", "")
        length = message.count("length", 200, 0, _LONGEST)
        told, units = message.flag("read"), message.count("state", 0, 0, _UNITS)
        choose = self._chooser(message)
        if self.notes["ended"] or not message.flag("more"):
            self._begin()
        whole, self.notes["waiting"] = settled(self._vocabulary, self.notes["waiting"] + text)
        yield from self._read(whole, told, units)
        if not length:
            return
        yield from self._flush(told, units)
        if not self.notes["begun"]:
            yield from self._tokens(self._vocabulary.prompt(""), told=False, units=0)
        for _ in range(length):
            token = choose(self._pool.logits[self._row : self._row + 1])
            yield [(yield from self._token(token, units))]
        if rest := self._decoder.flush():
            yield [{"type": "token", "text": rest, "surprisal": None}]

    def _chooser(self, message: ClientMessage) -> Callable[[Tensor], int]:
        """Draws a token of logits (1, V) as the message wants it."""
        temperature = message.number("temperature", 1.0, 0.0, 1e6)
        top_k = message.count("top_k", 0, 0, 1 << 31)
        top_p = message.number("top_p", 1.0, 0.0, 1.0)
        check_sampling(temperature, top_k, top_p)
        generator = torch.Generator()
        if "seed" in message:
            seed = message.count("seed", None, 0, 1 << 32)
            check_seed(seed)
            generator.manual_seed(seed)
        else:
            generator.seed()
        barred = self._dialogues.barred

        def choose(logits: Tensor) -> int:
            own = logits.index_fill(-1, barred, -torch.inf)
            if own.isnan().any():
                raise DataError("The state of this text is no longer finite; reset it.")
            drawn = sample(
                own, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator
            )
            return int(drawn)

        return choose

    def _flush(self, told: bool, units: int) -> Work:
        """Read the word, or the line's end, that was waiting for more."""
        waiting, self.notes["waiting"] = self.notes["waiting"], ""
        yield from self._read(lines_of(self._vocabulary, waiting), told, units)

    def _read(self, text: str, told: bool, units: int) -> Work:
        if text:
            yield from self._tokens(self._vocabulary.prompt(text), told, units)

    def _tokens(self, tokens: Tensor, told: bool, units: int) -> Work:
        for token in tokens.tolist():
            answer = yield from self._token(token, units)
            if told:
                yield [{**answer, "read": True}]

    def _token(self, token: int, units: int) -> Generator[list[Answer] | PoolStep, Any, Answer]:
        """Read one token; its answer."""
        is_first, self.notes["begun"] = not self.notes["begun"], True
        surprisal = yield PoolStep(self._pool, (self._row, token))
        answer: Answer = {
            "type": "token",
            "text": self._decoder.feed(token),
            "surprisal": None if is_first else surprisal,
        }
        if units:
            answer["state"] = self._pool.outputs[self._row, :units].tolist()
        return answer
