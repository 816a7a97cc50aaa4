"""The language task, and its estimator: train, load, evaluate, generate."""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Unpack, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.config.task_config import TaskConfig
from recurra.data.batches import Streams
from recurra.data.text import Text, read_text, split_text
from recurra.data.vocabulary import (
    Vocabulary,
    build_vocabulary,
    unknown_note,
    vocabulary_from,
)
from recurra.errors import ConfigError, DataError
from recurra.nn.states import State
from recurra.reports import Headline, Mark, Section
from recurra.tasks.estimator import Estimator
from recurra.tasks.exportable import Exportable
from recurra.tasks.language.config import LanguageConfig
from recurra.tasks.language.known_figures import nats_by_frequency, published_figures
from recurra.tasks.language.lines_of_texts import lines_of_texts, tokeniser_of
from recurra.tasks.language.model import LanguageNet, mean_nats, next_token_loss
from recurra.tasks.language.text_dialogue import TextDialogues
from recurra.tasks.language.text_session import Sampling, TextSession, barred_tokens, write
from recurra.tasks.signature import options_of
from recurra.tasks.task import Evaluation, Facts, Figures, Probe, Source, Task
from recurra.training import Validate, Windows

__all__ = ["TASK", "Language", "LanguageModel", "Texts"]

_SAMPLE = {"char": 400, "byte": 400, "word": 80}
"""Tokens of the sample written after training, by level."""

_TOKENS = {"char": "character", "byte": "byte", "word": "word"}
"""A token in words, by level."""

_ROW = 4096
"""Validation while training reads rows of about so many tokens side by side, for speed."""


@dataclass(frozen=True)
class Texts:
    """Text to train on and text held out of it, empty where there is none."""

    train: str
    held_out: str
    sources: tuple[Source, ...]


class Language(Task[LanguageConfig, Texts, nn.Module]):
    """Text is read as a stream of tokens; the model predicts each from those before it."""

    configuration: ClassVar[type[TaskConfig]] = LanguageConfig
    estimator = "recurra.tasks.language.task:LanguageModel"

    def read(self, data: Any = None, **others: Any) -> Texts:
        """Read files or texts, and split off what is held out.

        A `str` with white space in it that is not the name of a file is a text itself, all else
        a file. Without any it is the text of the settings: by default Python's documentation.
        """
        config = self.config
        if data is None and not config.data:
            if config.texts:
                raise ConfigError(
                    "texts = true without data: name files or folders, or leave texts out, for "
                    "Python's documentation."
                )
            text = read_text(())
        else:
            given = [Path(path) for path in config.data] if data is None else data
            text = self._text(given, config.where)
        sources = [Source("training files", s.path, s.sha256) for s in text.sources]
        if config.valid is not None:
            held_out = self._text([Path(config.valid)])
            sources += [Source("validation files", s.path, s.sha256) for s in held_out.sources]
            return Texts(text.content, held_out.content, tuple(sources))
        return Texts(*self._split(text.content), tuple(sources))

    def read_measured(self, data: Any, **others: Any) -> Texts:
        """Read files or texts to be measured whole."""
        return Texts("", self._text(data).content, ())

    def notes(self, data: Texts) -> list[str]:
        """What the held-out text has that the training text lacks."""
        note = unknown_note(self.vocabulary, data.held_out, "The held-out text")
        return [note] if note else []

    def _split(self, content: str) -> tuple[str, str]:
        fraction = self.config.valid_fraction
        if fraction == 0:
            return content, ""
        words = self.config.level == "word"
        whole = words or self.config.texts
        train, held_out = split_text(content, fraction, whole_words=whole)
        if not train or not held_out:
            count = len(content.split()) if words else len(content)
            unit, level = ("words", ", or another level") if words else ("characters", "")
            raise DataError(
                f"The text has {count:,} {unit}, too few to keep {fraction:.0%} for validation; "
                f"give more, or valid_fraction = 0{level}."
            )
        return train, held_out

    @property
    def _raw(self) -> bool:
        """Whether files are read as bytes, every one of which is a token."""
        return self.config.level == "byte"

    def _text(self, data: Any, where: str | None = None) -> Text:
        """Files and texts in memory, one after the other."""
        if isinstance(data, Text):
            return data
        if self.config.texts:
            return lines_of_texts(data, self.config, where=where)
        items: list[Any] = list(data) if isinstance(data, (list, tuple)) else [data]
        if items in ([], [""]):
            raise DataError("data is empty; give a text, or the paths of files.")
        for item in items:
            if not isinstance(item, (str, os.PathLike)):
                raise DataError(
                    f"data has a value of type {type(item).__name__}; give texts as str, or the "
                    "paths of files."
                )
        in_memory = [_is_text(item) for item in items]
        if items and all(in_memory):
            return Text.of([str(item) for item in items], raw=self._raw)
        if any(in_memory):
            raise DataError("Files and texts in memory were given together; give one of the two.")
        return read_text([os.fspath(item) for item in items], raw=self._raw)

    def record(self, config: LanguageConfig, data: Texts) -> LanguageConfig:
        """The configuration with absolute paths."""
        valid = str(Path(config.valid).absolute()) if config.valid else None
        return dataclasses.replace(config, valid=valid)

    def sources(self, data: Texts) -> list[Source]:
        """Every file, by its digest."""
        return list(data.sources)

    def context_of(self, data: Texts) -> dict[str, Any]:
        """The vocabulary of the training part, and the level of its tokens."""
        config = self.config
        vocabulary = build_vocabulary(
            config.level,
            data.train,
            min_count=config.min_count,
            max_words=config.max_words,
            tokeniser=(tokeniser := tokeniser_of(config)),
        )
        context = {"level": config.level, "vocabulary": vocabulary.tokens()}
        divided = {} if tokeniser is None else {"tokeniser": dataclasses.asdict(tokeniser)}
        return {**context, **divided}

    def grown(self, old: Mapping[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        """The old vocabulary, with the tokens that are new at its end."""
        level = old.get("level", self.config.level)
        if level != self.config.level:
            raise ConfigError(
                f"level = {self.config.level!r}, and the run to start from has level = {level!r}, "
                "whose tokens are others; give the same level."
            )
        if old.get("tokeniser") != new.get("tokeniser"):
            raise ConfigError(
                "The run to start from divides texts otherwise; give texts and lower as it has "
                "them."
            )
        tokens = dict.fromkeys([*old.get("vocabulary", []), *new["vocabulary"]])
        return {**new, "vocabulary": list(tokens)}

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary that the context holds."""
        tokens = self.context["vocabulary"]
        return vocabulary_from(self.config.level, tokens, tokeniser_of(self.config))

    def build(self) -> LanguageNet:
        """Embedding, recurrent layers, and a linear layer over the vocabulary."""
        return LanguageNet(self.config, len(self.vocabulary))

    def windows(self, data: Texts) -> Windows:
        """Contiguous streams: each window continues where the one before it ended.

        Warns of a text that is too short for `batch_size` rows of `window` steps.
        """
        config = self.config
        ids = self.vocabulary.encode(data.train)
        streams = Streams.fitting(ids, rows=config.batch_size, window=config.window)
        if streams.rows < config.batch_size or streams.steps < config.window:
            warnings.warn(
                f"The text has {len(ids):,} tokens to train on, too few for batch_size = "
                f"{config.batch_size} and window = {config.window}: batch_size = {streams.rows} "
                f"and window = {streams.steps} are used.",
                self.warning,
                stacklevel=2,
            )
        return streams

    def suited(self, windows: Windows) -> LanguageConfig:
        """Ten epochs, more of a short text and fewer of a long one, where no length is given."""
        return self.config.suited(len(windows))

    def loss(self, model: nn.Module, batch: Any, state: State) -> tuple[Tensor, int, State]:
        """Nats a token."""
        return next_token_loss(model, batch, state)

    def validation(self, data: Texts) -> Validate | None:
        """Nats a token of the held-out text, read as several streams for speed."""
        if not data.held_out:
            return None
        ids, size = self._ids(data), len(self.vocabulary)
        rows = max(1, min(self.config.batch_size, len(ids) // _ROW))
        return lambda net: {"loss": mean_nats(net, ids, size, rows=rows)}

    def join(self, outputs: Sequence[Tensor]) -> Tensor:
        """Logits of the members' mean probabilities."""
        each = torch.stack([output.log_softmax(-1) for output in outputs])
        return each.logsumexp(0) - math.log(len(outputs))

    def held_out(self, product: nn.Module, data: Texts) -> Evaluation | None:
        """The held-out text, read as one stream."""
        return self.evaluate(product, data) if data.held_out else None

    def evaluate(self, product: nn.Module, data: Texts, **options: Any) -> Evaluation:
        """Read the held-out text as one stream, its state carried from the first token to the last.

        `nats` and `perplexity` are per token, `<eos>` included; `bits_per_character` spreads the
        same over the `characters` that the tokens stand for; `tokens` are those predicted, all but
        the first; `unknown` are those of the text that the vocabulary lacks.
        """
        if not data.held_out:
            raise DataError("The run has no held-out text; name a file to evaluate on.")
        ids, vocabulary = self._ids(data), self.vocabulary
        nats = mean_nats(product, ids, len(vocabulary))
        characters = vocabulary.characters(data.held_out)
        numbers = {
            "nats": nats,
            "bits_per_character": nats * len(ids) / characters / math.log(2),
            "perplexity": math.exp(nats) if nats < 700 else math.inf,
            "tokens": len(ids) - 1,
            "characters": characters,
            "unknown": vocabulary.unknown_in(data.held_out).total(),
        }
        note = unknown_note(vocabulary, data.held_out, "The text")
        remarks = [f"{note} Figures of a model that knows them don't compare."] if note else []
        return Evaluation(numbers, [Section("Validation", _shown(numbers))], remarks)

    @property
    def training_window(self) -> int | None:
        """The window of truncated BPTT; 0 in the settings is the whole text."""
        return self.config.window or None

    def probe(self, data: Texts, *, rows: int, steps: int) -> Probe:
        """Windows spread evenly over the held-out text, each from zero states.

        The loss is that of the last token's prediction.
        """
        if not data.held_out:
            raise DataError("The run has no held-out text; name a file to inspect it on.")
        windows = _spread(self._ids(data), rows, steps)
        inputs, targets = windows[:-1], windows[1:]

        def loss(output: tuple[Tensor, State]) -> Tensor:
            losses = functional.cross_entropy(output[0].mT, targets, reduction="none")
            return losses.sum(1)

        def answer(model: nn.Module) -> tuple[Tensor, list[str]]:
            with torch.inference_mode():
                logits = model(inputs[:, :1])[0][:, 0]
            return logits.softmax(-1), _texts(self.vocabulary, logits.argmax(-1))

        return Probe(inputs, loss, _texts(self.vocabulary, inputs[:, 0]), answer)

    def facts(self, product: nn.Module, data: Texts, evaluation: Evaluation | None) -> Facts:
        """The model, its figures, and a sample of what it writes."""
        config, net = self.config, self.module(product)
        model = {
            "cell": config.cell,
            "layers": config.layers,
            "hidden units": config.hidden,
            "parameters": f"{cast('LanguageNet', net).parameter_count():,}",
            "tokens known": f"{len(self.vocabulary):,}",
        }
        shown = list(evaluation.sections) if evaluation is not None else []
        return Facts(
            title=f"Language model, by {_TOKENS[config.level]}",
            sections=[Section("Model", model), *shown],
            use=['recurra generate {run} --prompt "" --length 200', "recurra evaluate {run}"],
            pictures=[Section("A sample", "".join(self.sample(product)))],
            pipeline="text-generation",
        )

    def sample(self, product: nn.Module) -> Iterator[str]:
        """The text that a training ends with: the same for the same weights."""
        length = _SAMPLE[self.config.level]
        session, vocabulary = self.session(product), self.vocabulary
        return write(session, vocabulary, length=length, temperature=0.7, seed=0)

    def figures(self, data: Texts) -> Figures:
        """Nats a token on the held-out text; chance is a uniform guess."""
        uniform = math.log(len(self.vocabulary))
        return Figures(
            title=f"language by {self.config.level}",
            quality="validation nats",
            measure="nats",
            chance=uniform,
            loss="loss (nats)",
            chance_loss=uniform,
            published=published_figures(self.config, data.sources),
        )

    def headline(self, data: Texts, evaluation: Evaluation) -> Headline:
        """Nats a token beside a uniform guess, the tokens' frequencies, and published figures."""
        vocabulary, nats = self.vocabulary, evaluation["nats"]
        train = vocabulary.encode(data.train)
        frequencies = nats_by_frequency(train, self._ids(data)[1:], len(vocabulary))
        token = _TOKENS[self.config.level]
        return Headline(
            f"nats per {token} of held-out text",
            Mark("this run", nats),
            [
                Mark("a uniform guess", math.log(len(vocabulary))),
                Mark(f"{token} frequencies", frequencies),
                *(Mark(p.name, p.value, p.source) for p in self.figures(data).published),
            ],
            meaning=[
                f"At each {token} the model is as uncertain as among "
                f"{evaluation['perplexity']:,.1f} that are equally likely."
            ],
        )

    def session(self, product: nn.Module, **options: Any) -> TextSession:
        """A stream of text."""
        return TextSession(product, self.vocabulary)

    def exportables(self, product: nn.Module) -> Sequence[Exportable]:
        """Each network: the logits of the next token."""
        return [
            Exportable(net, net.program(), "stream")
            for net in self.models(product)
            if isinstance(net, LanguageNet)
        ]

    def page_facts(self, product: nn.Module) -> dict[str, Any]:
        """The tokens, those that aren't written, and the one that a text begins with."""
        vocabulary = self.vocabulary
        if vocabulary.level == "word":
            raise ConfigError(
                "A page by itself writes characters or bytes, and this model words; use "
                "`recurra serve`, or train with level = 'char'."
            )
        barred = barred_tokens(vocabulary, (), unknown=False).tolist()
        tokeniser = tokeniser_of(self.config)
        return {
            "level": vocabulary.level,
            "tokens": vocabulary.tokens(),
            "start": vocabulary.start,
            "unknown": vocabulary.unknown,
            "barred": barred,
            "lower": tokeniser is not None and tokeniser.lower,
        }

    def dialogues(self, product: nn.Module, most: int) -> TextDialogues:
        """Texts that are read and written on."""
        return TextDialogues(product, self.vocabulary, most)

    def _ids(self, data: Texts) -> Tensor:
        """The held-out text as tokens: two or more, one to start from and one to predict."""
        ids = self.vocabulary.encode(data.held_out)
        if len(ids) < 2:
            raise DataError("The text has one token, and 2 are the least; give a longer text.")
        return ids


TASK = Language


class LanguageModel(Estimator[LanguageConfig, nn.Module]):
    """A model of text by character, byte or word.

    Any field of `LanguageConfig` may be given by name. `fit` trains it, `load` brings a trained
    one back.

    Raises:
        ConfigError: a setting is unknown, or its value is not allowed.

    Example:
        >>> import tempfile
        >>> out = tempfile.mkdtemp()
        >>> model = LanguageModel(hidden=8, max_steps=2, window=16, valid_fraction=0.001)
        >>> model.fit(out=out).results[0].steps
        2
        >>> len(LanguageModel.load(out).generate("The ", length=20, seed=1))
        20
    """

    task: ClassVar[type[Task[Any, Any, Any]]] = Language

    @options_of(LanguageConfig)
    def __init__(self, config: LanguageConfig) -> None:
        super().__init__(config)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that the model knows; RunError before it is trained."""
        self._ready()
        return cast("Language", self._task).vocabulary

    @property
    def network(self) -> nn.Module:
        """The trained network, from tokens (T, B) to logits (T, B, V) and its state."""
        return self._ready()

    def generate(self, prompt: str = "", **how: Unpack[Sampling]) -> str:
        """The text that follows `prompt`; `Sampling` lists the options of drawing it."""
        self._check_named("generate", write, how)
        return "".join(self.stream(prompt, **how))

    def stream(self, prompt: str = "", **how: Unpack[Sampling]) -> Iterator[str]:
        """Yield the text that follows `prompt` in pieces as they are drawn.

        A RecurraWarning, at once, says where the prompt has characters or words that the model has
        never seen.
        """
        self._check_named("stream", write, how)
        task, product = cast("Language", self._task), self._ready()
        return write(task.session(product), task.vocabulary, prompt, **how)

    def sample(self) -> Iterator[str]:
        """Yield the text that a training ends with: the same for the same weights."""
        return cast("Language", self._task).sample(self._ready())


def _is_text(item: Any) -> bool:
    """Distinguish a text from a path: it has white space in it, and no file has that name."""
    if not isinstance(item, str) or os.path.exists(item):
        return False
    return "\n" in item or len(item.split()) > 1


def _shown(numbers: Mapping[str, float]) -> dict[str, object]:
    return {
        "nats per token": f"{numbers['nats']:.4f}",
        "bits per character": f"{numbers['bits_per_character']:.4f}",
        "perplexity": f"{numbers['perplexity']:,.2f}",
        "tokens": f"{numbers['tokens']:,}",
        "unknown tokens": f"{numbers['unknown']:,}",
    }


def _spread(ids: Tensor, rows: int, steps: int) -> Tensor:
    """Windows of the text as columns, (steps + 1, rows)."""
    spare = len(ids) - steps - 1
    if spare < 0:
        raise DataError(
            f"The text has {len(ids)} tokens, and {steps} steps need {steps + 1}; give a longer "
            "text, or fewer steps."
        )
    starts = torch.linspace(0, spare, rows, dtype=torch.double).long()
    return torch.stack([ids[start : start + steps + 1] for start in starts.tolist()], dim=1)


def _texts(vocabulary: Vocabulary, tokens: Tensor) -> list[str]:
    """Each token by itself as text."""
    found = []
    for token in tokens.tolist():
        decoder = vocabulary.decoder()
        text = decoder.feed(token) + decoder.flush()
        found.append(text.strip(" ") or text or "?")
    return found
