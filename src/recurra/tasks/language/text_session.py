"""Streams of text: read token by token, and written on from where they stand."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from recurra.data.text import universal_lines
from recurra.data.vocabulary import Vocabulary, unknown_note
from recurra.decoding.sampling import sample
from recurra.errors import ConfigError, RecurraWarning
from recurra.nn.module_steps import steps_of
from recurra.nn.states import flatten, unflatten
from recurra.tasks.language.config import check_writing
from recurra.tasks.session import Session, weights_digest
from recurra.tasks.task import Ensemble

__all__ = ["Sampling", "TextSession", "barred_tokens", "lines_of", "settled", "write"]


class Sampling(TypedDict, total=False):
    """Options of new text, with their defaults in `write`.

    `length` counts tokens; `temperature`, `top_k` and `top_p` are as in
    `recurra.decoding.sampling.sample`; the same `seed` draws the same text, and without one (None)
    each call draws another. Tokens in `banned` are never drawn, and that of unknown characters or
    words only with `unknown`.
    """

    length: int
    temperature: float
    top_k: int
    top_p: float
    seed: int | None
    banned: Sequence[str]
    unknown: bool


class TextSession(Session[str, float]):
    """A text as a language model reads it; results are surprisals of its tokens, in nats.

    At level word a word is read once the white space after it has come, or `finish` is called.
    `unknown` counts the tokens so far that are not in the vocabulary.
    """

    def __init__(self, model: nn.Module, vocabulary: Vocabulary) -> None:
        super().__init__(weights_digest([model]))
        self._model, self._vocabulary = model.eval(), vocabulary
        self._nets: list[Any] = list(model.models) if isinstance(model, Ensemble) else [model]
        self._steps = [steps_of(net.recurrent) for net in self._nets]
        self._logits: Tensor | None = None  # (1, V), of the next token
        self._waiting = ""
        self.unknown: int = 0

    def feed(self, chunk: str) -> list[float]:
        """Read some text; the surprisal of each token but the very first."""
        text, self._waiting = settled(self._vocabulary, self._waiting + chunk)
        return self._read_text(text)

    def finish(self) -> list[float]:
        """Read the word, or the line's end, that was waiting for more."""
        waiting, self._waiting = self._waiting, ""
        return self._read_text(lines_of(self._vocabulary, waiting))

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
        tensors = {
            f"state.{number}.{name}": value
            for number, steps in enumerate(self._steps)
            for name, value in flatten(steps.state())[1].items()
        }
        if self._logits is not None:
            tensors["logits"] = self._logits
        waiting = list(self._waiting.encode("utf-8", "surrogatepass"))
        return tensors | {
            "waiting": torch.tensor(waiting, dtype=torch.uint8),
            "unknown": torch.tensor(self.unknown),
        }

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        for number, steps in enumerate(self._steps):
            own = f"state.{number}."
            states = {n.removeprefix(own): v for n, v in tensors.items() if n.startswith(own)}
            steps.set_state(unflatten(flatten(steps.state())[0], states, steps.device))
        self._logits = tensors.get("logits")
        self._waiting = bytes(tensors["waiting"].tolist()).decode("utf-8", "surrogatepass")
        self.unknown = int(tensors["unknown"])

    def _read_text(self, text: str) -> list[float]:
        if not text:
            return []
        self.unknown += self._vocabulary.unknown_in(text).total()
        return self._read(self._vocabulary.prompt(text))

    @torch.inference_mode()
    def _read(self, tokens: Tensor) -> list[float]:
        before = self._logits
        logits = self._logits_after(tokens.view(-1, 1))
        self._logits = logits[-1]
        predicted = logits[:-1, 0] if before is None else torch.cat([before, logits[:-1, 0]])
        targets = tokens.view(-1)[1:] if before is None else tokens.view(-1)
        chosen = predicted.log_softmax(-1).gather(1, targets.unsqueeze(1))
        return [-value for value in chosen.squeeze(1).tolist()]

    def _logits_after(self, tokens: Tensor) -> Tensor:
        """The logits (T, 1, V) of what follows each token (T, 1)."""
        found = [
            net.head(steps.feed(net.embedding(tokens)))
            for net, steps in zip(self._nets, self._steps, strict=True)
        ]
        return self._model.join(found) if isinstance(self._model, Ensemble) else found[0]


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
    banned: Sequence[str] = (),
    unknown: bool = False,
) -> Iterator[str]:
    """Yield the text after `prompt` in pieces as they are drawn; an empty one starts a line.

    What the model does not know of the prompt is read as unknown, with a RecurraWarning.

    Raises ConfigError where a number is out of its range or limits nothing, a banned token does not
    exist, or no token is left to draw.
    """
    check_writing(
        prompt, length=length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
    )
    barred = barred_tokens(vocabulary, banned, unknown)
    prompt = lines_of(vocabulary, prompt)
    if note := unknown_note(vocabulary, prompt, "The prompt"):
        warnings.warn(note, RecurraWarning, stacklevel=3)
    generator = torch.Generator()
    generator.manual_seed(seed) if seed is not None else generator.seed()
    decoder = vocabulary.decoder()
    for token in vocabulary.prompt(prompt).tolist():
        decoder.feed(token)
    session.feed(prompt)
    session.finish()
    session.begin()

    def choose(logits: Tensor) -> Tensor:
        logits = logits.index_fill(-1, barred, -torch.inf)
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


def barred_tokens(vocabulary: Vocabulary, banned: Sequence[str], unknown: bool) -> Tensor:
    """The numbers of the tokens that are not drawn."""
    if isinstance(banned, str) or not all(isinstance(text, str) for text in banned):
        raise ConfigError(f"banned = {banned!r}; give a list of tokens, each a text.")
    barred = {vocabulary.token(text) for text in banned}
    if vocabulary.unknown is not None and not unknown:
        barred.add(vocabulary.unknown)
    if len(barred) == len(vocabulary):
        raise ConfigError("Every token is banned; leave one to draw.")
    return torch.tensor(sorted(barred), dtype=torch.long)


def settled(vocabulary: Vocabulary, text: str) -> tuple[str, str]:
    r"""The text whose tokens are settled, and the rest: a word or "\r", which wait for more."""
    if vocabulary.level == "byte":
        return text, ""
    end = "\r" if text.endswith("\r") else ""
    text = universal_lines(text.removesuffix(end))
    if vocabulary.level == "char":
        return text, end
    whole, word = _whole_words(text)
    return whole, word + end


def lines_of(vocabulary: Vocabulary, text: str) -> str:
    """Text with the line ends that the vocabulary's level has; bytes are kept as they are."""
    return text if vocabulary.level == "byte" else universal_lines(text)


def _whole_words(text: str) -> tuple[str, str]:
    """The text up to its last white space, empty if it has no token, and the word after it."""
    word = "" if text[-1:].isspace() else "".join(text.split()[-1:])
    whole = text.removesuffix(word)
    return (whole if whole.strip() or "\n" in whole else ""), word
