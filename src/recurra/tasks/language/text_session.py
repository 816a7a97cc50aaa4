"""Streams of text: read token by token, and written on from where they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypedDict

import torch
from torch import Tensor, nn

from recurra.data.vocabulary import Vocabulary
from recurra.decoding.sampling import check_sampling, sample
from recurra.errors import ConfigError
from recurra.nn.states import State, flatten, unflatten
from recurra.tasks.session import Session, weights_digest

__all__ = ["Sampling", "TextSession", "write"]


class Sampling(TypedDict, total=False):
    """Options of new text, with their defaults in `write`.

    `length` counts tokens; `temperature`, `top_k` and `top_p` are as in
    `recurra.decoding.sampling.sample`; the same `seed` draws the same text, and without one (None)
    each call draws another.
    """

    length: int
    temperature: float
    top_k: int
    top_p: float
    seed: int | None


class TextSession(Session[str, float]):
    """A text as a language model reads it; results are surprisals of its tokens, in nats.

    At level word a word is read once the white space after it has come, or `finish` is called.
    """

    def __init__(self, model: nn.Module, vocabulary: Vocabulary) -> None:
        super().__init__(weights_digest([model]))
        self._model, self._vocabulary = model.eval(), vocabulary
        self._states: State = None
        self._logits: Tensor | None = None  # (1, V), of the next token
        self._waiting = ""

    def feed(self, chunk: str) -> list[float]:
        """Read some text; the surprisal of each token but the very first.

        Raises DataError where it has characters that the model has never seen.
        """
        text = self._waiting + chunk
        if self._vocabulary.level == "word":
            text, self._waiting = _whole_words(text)
        return self._read(self._vocabulary.prompt(text)) if text else []

    def finish(self) -> list[float]:
        """Read the word that was waiting for its end."""
        waiting, self._waiting = self._waiting, ""
        return self._read(self._vocabulary.prompt(waiting)) if waiting else []

    def begin(self) -> None:
        """Read the start of a line, where nothing has been read yet."""
        if self._logits is None:
            self._read(self._vocabulary.prompt(""))

    def draw(self, choose: Callable[[Tensor], Tensor]) -> int:
        """Choose the next token from its logits (1, V), and read it."""
        assert self._logits is not None
        token = choose(self._logits)
        self._read(token)
        return int(token)

    def state(self) -> dict[str, Tensor]:
        """States, logits and the text that waits."""
        _, states = flatten(self._states)
        tensors = {f"state.{name}": value for name, value in states.items()}
        if self._logits is not None:
            tensors["logits"] = self._logits
        waiting = list(self._waiting.encode("utf-8", "surrogatepass"))
        return tensors | {"waiting": torch.tensor(waiting, dtype=torch.uint8)}

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        states = {n.removeprefix("state."): v for n, v in tensors.items() if n.startswith("state.")}
        shape = self._shape()
        self._states = unflatten(shape, states, torch.device("cpu")) if states else None
        self._logits = tensors.get("logits")
        self._waiting = bytes(tensors["waiting"].tolist()).decode("utf-8", "surrogatepass")

    @torch.inference_mode()
    def _read(self, tokens: Tensor) -> list[float]:
        before = self._logits
        logits, self._states = self._model(tokens.view(-1, 1), self._states)
        self._logits = logits[-1]
        predicted = logits[:-1, 0] if before is None else torch.cat([before, logits[:-1, 0]])
        targets = tokens.view(-1)[1:] if before is None else tokens.view(-1)
        chosen = predicted.log_softmax(-1).gather(1, targets.unsqueeze(1))
        return [-value for value in chosen.squeeze(1).tolist()]

    @torch.inference_mode()
    def _shape(self) -> object:
        """The nesting of the model's states, as one token leaves them."""
        _, states = self._model(self._vocabulary.prompt("").view(-1, 1), None)
        return flatten(states)[0]


def write(
    session: TextSession,
    vocabulary: Vocabulary,
    prompt: str = "",
    *,
    length: int = 200,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int | None = None,
) -> Iterator[str]:
    """Yield the text after `prompt` in pieces as they are drawn; an empty one starts a line.

    Raises:
        DataError: the prompt has characters the model has never seen.
        ConfigError: a number is out of its range.
    """
    check_sampling(temperature, top_k, top_p)
    if length < 1:
        raise ConfigError(f"length = {length}; give 1 token or more.")
    if seed is not None and not 0 <= seed < 2**63:
        raise ConfigError(f"seed = {seed}; give a whole number from 0 to {2**63 - 1}.")
    generator = torch.Generator()
    generator.manual_seed(seed) if seed is not None else generator.seed()
    decoder = vocabulary.decoder()
    for token in vocabulary.prompt(prompt).tolist():
        decoder.feed(token)
    session.feed(prompt)
    session.finish()
    session.begin()

    def choose(logits: Tensor) -> Tensor:
        return sample(
            logits, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator
        )

    def pieces() -> Iterator[str]:
        for _ in range(length):
            if piece := decoder.feed(session.draw(choose)):
                yield piece
        if rest := decoder.flush():
            yield rest

    return pieces()


def _whole_words(text: str) -> tuple[str, str]:
    """The text up to its last white space, empty if it has no token, and the word after it."""
    word = "" if text[-1:].isspace() else "".join(text.split()[-1:])
    whole = text.removesuffix(word)
    return (whole if whole.strip() or "\n" in whole else ""), word
