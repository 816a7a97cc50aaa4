"""The language task from Python: train, load, evaluate, generate."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Unpack, cast

import torch

from recurra.data.text import read_text
from recurra.data.vocabulary import Vocabulary, vocabulary_from
from recurra.errors import ConfigError, DataError, RunError
from recurra.insight import Inspection
from recurra.tasks.language import record
from recurra.tasks.language.card import model_card
from recurra.tasks.language.config import LanguageConfig, language_config
from recurra.tasks.language.corpus import Corpus, Tokens, encode_corpus, encode_text, read_texts
from recurra.tasks.language.evaluate import Evaluation, evaluate_text, mean_nats
from recurra.tasks.language.generate import Sampling, stream_text
from recurra.tasks.language.inspect import inspect_text, keep_inspection, write_inspection
from recurra.tasks.language.model import LanguageNet, next_token_loss
from recurra.tasks.language.page import page
from recurra.training import Progress, RichProgress, Run, TrainingResult, Validate, fit

__all__ = ["LanguageModel"]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_SAMPLE = {"char": 400, "byte": 400, "word": 80}
"""Tokens of the sample written after training, by level."""

_ROW = 4096
"""Validation while training reads rows of about so many tokens side by side, for speed."""


class _Trained(NamedTuple):
    net: LanguageNet
    vocabulary: Vocabulary
    run: Run


class LanguageModel:
    """A model of text by character, byte or word.

    Any field of `LanguageConfig` may be given by name: `cell="lstm"`, `hidden=256`, `layers=1`,
    `level="char"`, `epochs=10`, ... `fit` trains it, `load` brings a trained one back.

    Raises:
        ConfigError: a setting is unknown, or its value can't be.

    Example:
        >>> import tempfile
        >>> out = tempfile.mkdtemp()
        >>> model = LanguageModel(hidden=8, max_steps=2, window=16, valid_fraction=0.001)
        >>> model.fit(out=out).steps
        2
        >>> len(LanguageModel.load(out).generate("The ", length=20, seed=1))
        20
    """

    def __init__(self, **settings: Any) -> None:
        self.config: LanguageConfig = language_config(settings)
        self.validation: Evaluation | None = None
        self._given = settings
        self._trained: _Trained | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LanguageModel:
        """The model of a run.

        Raises RunError where the run is missing, damaged or of another task, or where the equations
        of its cell have changed since.
        """
        run = Run.open(path)
        model = cls()
        model.config = record.read_record(run.config, run.path)
        vocabulary = vocabulary_from(model.config.level, run.config["vocabulary"])
        net = LanguageNet(model.config, len(vocabulary))
        record.check_cell(run.config, model.config.cell, net.cell.digest())
        net.load_state_dict(run.load_model())
        model._trained = _Trained(net, vocabulary, run)
        return model

    def fit(
        self,
        files: Paths = (),
        *,
        out: str | os.PathLike[str],
        resume: bool = False,
        overwrite: bool = False,
        progress: Progress | bool = False,
    ) -> TrainingResult:
        """Train into the run `out`, on text files or, with none, on Python's own documentation.

        Afterwards `validation` is how well the best weights predict the validation text.

        Args:
            files: one path or several, read one after the other.
            out: directory of the run.
            resume: go on from the run's last checkpoint with the settings it was started with; of
                those given here only epochs, max_steps, max_minutes and patience may differ.
            overwrite: replace the run that is there.
            progress: True shows a live bar on stderr.

        Raises:
            DataError: a file can't be used, or the text is shorter than one window.
            ConfigError: a setting differs from that of the run which is to go on.
            RunError: `out` holds another run, or the data or the cell of the run have changed.
            TrainingError: the loss is not finite, or the disk is full.
        """
        paths = _names(files)
        self.validation = None
        if resume and overwrite:
            raise ConfigError("A run is either resumed or overwritten; give one of the two.")
        if resume:
            given = {**self._given, **({"files": paths} if paths else {})}
            net, corpus, run = self._continue(Run.open(out), given)
        else:
            self.config = dataclasses.replace(self.config, files=paths or self.config.files)
            net, corpus, run = self._begin(Path(out), overwrite)
        result = fit(
            net,
            corpus.train,
            next_token_loss,
            config=self.config,
            run=run,
            validate=_validation(corpus.valid, self.config.batch_size),
            resume=resume,
            progress=self._shown(progress),
        )
        self._finish(_Trained(net, corpus.vocabulary, run), corpus.valid, result)
        return result

    def evaluate(self, file: str | os.PathLike[str] | None = None) -> Evaluation:
        """How well the model predicts a text file, or without one the run's validation text.

        The text is read as one stream, its state carried from the first token to the last.
        """
        net, vocabulary, _ = self._ready()
        if file is None:
            text = self._validation_text()
        else:
            text = encode_text(vocabulary, read_text([os.fspath(file)]).content)
        return evaluate_text(net, text.ids, text.characters)

    def generate(self, prompt: str = "", **how: Unpack[Sampling]) -> str:
        """The text that follows `prompt`; `how` it is drawn is told by `Sampling`."""
        return "".join(self.stream(prompt, **how))

    def stream(self, prompt: str = "", **how: Unpack[Sampling]) -> Iterator[str]:
        """Yield the text that follows `prompt` in pieces as they are drawn.

        Raises DataError, at once, where the prompt has characters the model has never seen.
        """
        net, vocabulary, _ = self._ready()
        return stream_text(net, vocabulary, prompt, **how)

    def inspect(
        self,
        file: str | os.PathLike[str] | None = None,
        *,
        rows: int = 4,
        steps: int = 100,
        out: str | os.PathLike[str] | None = None,
    ) -> tuple[Inspection, Path]:
        """How gradients flow through the model over a text, with verdicts; and where pictures are.

        The text is a file, or without one the run's validation text, of which `rows` windows of
        `steps` tokens are read. The pictures go to the run's report.html, or to the page `out`.
        """
        net, vocabulary, run = self._ready()
        content = None if file is None else read_text([os.fspath(file)]).content
        text = self._validation_text() if content is None else encode_text(vocabulary, content)
        found = inspect_text(net, vocabulary, text.ids, run.metrics(), rows=rows, steps=steps)
        page = write_inspection(run, None if out is None else Path(out), found)
        return found.inspection, page

    def sample(self) -> Iterator[str]:
        """Yield the text that a training ends with: the same for the same weights."""
        return self.stream(length=_SAMPLE[self.config.level], temperature=0.7, seed=0)

    def _begin(self, out: Path, overwrite: bool) -> tuple[LanguageNet, Corpus, Run]:
        texts = read_texts(self.config)
        corpus = encode_corpus(texts, self.config)
        net = _seeded_net(self.config, corpus.vocabulary)
        digest = net.cell.digest()
        settings = record.write_record(self.config, texts, corpus.vocabulary, digest)
        # Only now that nothing is wrong with the settings and the data may a run be replaced.
        return net, corpus, Run.create(out, settings, overwrite=overwrite)

    def _continue(self, run: Run, given: dict[str, Any]) -> tuple[LanguageNet, Corpus, Run]:
        self.config = record.continued(record.read_record(run.config, run.path), given)
        texts = read_texts(self.config)
        record.check_texts(run.config, texts)
        vocabulary = vocabulary_from(self.config.level, run.config["vocabulary"])
        net = _seeded_net(self.config, vocabulary)
        digest = net.cell.digest()
        record.check_cell(run.config, self.config.cell, digest)
        corpus = encode_corpus(texts, self.config, vocabulary)
        run.save_config(record.write_record(self.config, texts, vocabulary, digest))
        return net, corpus, run

    def _shown(self, progress: Progress | bool) -> Progress | None:
        if isinstance(progress, bool):
            return RichProgress(max_minutes=self.config.max_minutes) if progress else None
        return progress

    def _finish(self, trained: _Trained, valid: Tokens | None, result: TrainingResult) -> None:
        """Take the best weights, measure them exactly, write the model card and the report."""
        net, vocabulary, run = trained
        net.load_state_dict(run.load_model())
        self._trained = trained
        if valid is not None and result.stopped != "interrupted":
            self.validation = evaluate_text(net, valid.ids, valid.characters)
        sizes = {"parameters": net.parameter_count(), "tokens known": len(vocabulary)}
        card = model_card(self.config, run.config["training files"], sizes, result, self.validation)
        run.write_text("README.md", card)
        sample = "" if result.stopped == "interrupted" else "".join(self.sample())
        shown = page(self.config, run, sizes, result, self.validation, sample)
        run.write_text("report.html", keep_inspection(run, shown))

    def _validation_text(self) -> Tokens:
        _, vocabulary, run = self._ready()
        texts = read_texts(self.config)
        record.check_texts(run.config, texts)
        valid = encode_corpus(texts, self.config, vocabulary).valid
        if valid is None:
            raise DataError("The run kept no text for validation; name a file to evaluate on.")
        return valid

    def _ready(self) -> _Trained:
        if self._trained is None:
            raise RunError("The model is not trained yet; call fit, or LanguageModel.load(run).")
        return self._trained


def _seeded_net(config: LanguageConfig, vocabulary: Vocabulary) -> LanguageNet:
    torch.manual_seed(config.seed)
    return LanguageNet(config, len(vocabulary))


def _validation(valid: Tokens | None, rows: int) -> Validate | None:
    if valid is None:
        return None
    rows = max(1, min(rows, len(valid.ids) // _ROW))
    return lambda net: {"loss": mean_nats(cast("LanguageNet", net), valid.ids, rows=rows)}


def _names(files: Paths) -> tuple[str, ...]:
    paths = [files] if isinstance(files, (str, os.PathLike)) else files
    return tuple(os.fspath(path) for path in paths)
