"""The translation task: one sequence into another, by attention or by alignment."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from recurra.config.task_config import TaskConfig
from recurra.data.pairs.length_limit import without_long
from recurra.data.pairs.pair_sources import read_pairs
from recurra.data.pairs.text_pair import Pairs, hold_out_pairs
from recurra.data.transcripts.bad_items import BadItems
from recurra.errors import ConfigError, DataError
from recurra.nn.states import State
from recurra.reports import Headline
from recurra.tasks.task import Evaluation, Facts, Figures, Probe, Retrain, Source, Task
from recurra.tasks.translate import translation_facts, translation_judgement
from recurra.tasks.translate.aligner import AlignerNet
from recurra.tasks.translate.config import Generation, TranslateConfig
from recurra.tasks.translate.converter import Converter, nets_of
from recurra.tasks.translate.model import PairBatch, TranslateNet
from recurra.tasks.translate.pair_batches import PairBatches, Side
from recurra.tasks.translate.pair_validation import PairValidation
from recurra.tasks.translate.text_side import TextSide, described_side, sides_of
from recurra.training import Metric, Validate, Windows

__all__ = ["TASK", "PairData", "Translate"]


_Numbered = tuple[list[tuple[str, str]], list[Side], list[Side]]
"""Pairs of texts, and both sides of each."""


@dataclasses.dataclass(frozen=True, eq=False)
class PairData:
    """Pairs to train on and pairs held out; those to be measured alone are held out.

    `numbered` keeps those to train on as they are divided, by what divides them.
    """

    train: Pairs
    held_out: Pairs
    numbered: dict[tuple[int, TextSide, TextSide], _Numbered] = dataclasses.field(
        default_factory=dict, repr=False
    )


class Translate(Task[TranslateConfig, PairData, Converter]):
    """Sequences are read by an encoder, and what they become is written token by token."""

    configuration: ClassVar[type[TaskConfig]] = TranslateConfig
    estimator = "recurra.tasks.translate.translator:Translator"
    metric: ClassVar[Metric] = Metric("accuracy", lower_is_better=False)
    unit = "tokens"

    def read(self, data: Any = None, **others: Any) -> PairData:
        """Read parallel files, tables, or pairs in memory."""
        config = self.config
        given = list(config.data) if data is None else data
        if data is None and not given:
            raise DataError(
                "No data to train on; give two parallel files, a table of sources and targets "
                "(.tsv, .csv, .jsonl), or pairs."
            )
        pairs = self._pairs(given, config.where)
        if config.valid or config.valid_where:
            if not config.valid and not config.data and data is None:
                raise DataError("valid_where chooses rows of a table; name the table.")
            held = self._pairs(list(config.named_files) or given, config.valid_where)
            return PairData(pairs, held)
        if not config.valid_fraction:
            return PairData(pairs, Pairs(()))
        return PairData(*hold_out_pairs(pairs, config.valid_fraction, config.seed))

    def read_measured(self, data: Any, **others: Any) -> PairData:
        """Read pairs to be measured; none is too long."""
        return PairData(Pairs(()), self._pairs(data, others.get("where")))

    def _pairs(self, data: Any, where: str | None) -> Pairs:
        config = self.config
        return read_pairs(
            data,
            layout=config.layout,
            source=config.source,
            target=config.target,
            references=config.references,
            gather=config.gather or None,
            where=where,
            encoding=config.encoding,
            bad=BadItems(config.bad_share),
        )

    def notes(self, data: PairData) -> list[str]:
        """How texts are divided, what was left out, targets too long for an aligner."""
        notes = [*data.train.notes, *self._chosen()]
        for what, part in (("", data.train), (" to validate on", data.held_out)):
            if len(part.bad):
                notes.append(f"Left out{what}: {part.bad}")
        if self.config.model == "ctc" and (short := self._too_long(data.train)):
            notes.append(
                f"{short:,} targets have more tokens than {self.config.stretch} for each of their "
                "source's and count for nothing; raise stretch."
            )
        return notes

    def _chosen(self) -> list[str]:
        """A sentence on what texts are divided into, where the data chose it."""
        config = self.config
        if "auto" not in (config.source_tokens, config.target_tokens):
            return []
        source, target = (described_side(side) for side in self.sides)
        return [
            f"Sources are read as {source}, and targets written as {target} (source_tokens, "
            "target_tokens)."
        ]

    def record(self, config: TranslateConfig, data: PairData) -> TranslateConfig:
        """The configuration with absolute paths."""
        valid = ",".join(str(Path(path).absolute()) for path in config.named_files) or None
        return dataclasses.replace(config, valid=valid)

    def sources(self, data: PairData) -> list[Source]:
        """The pairs trained on and those held out, by their digests."""
        parts = {"train": data.train, "valid": data.held_out}
        return [
            Source(name, "; ".join(part.places) or None, part.digest)
            for name, part in parts.items()
            if len(part)
        ]

    def context_of(self, data: PairData) -> dict[str, Any]:
        """How both sides are divided, and their vocabularies."""
        pairs = data.train
        targets = [text for own in pairs.references for text in own]
        source, target = sides_of(self.config, pairs.sources, targets)
        return {"source": source.to_json(), "target": target.to_json()}

    def grown(self, old: Mapping[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        """The sides of the old run: its vectors are of its tokens."""
        if not {"source", "target"} <= set(old):
            raise ConfigError("The run to start from is not one of translation; name another.")
        return dict(old)

    @functools.cached_property
    def sides(self) -> tuple[TextSide, TextSide]:
        """The source's and the target's side, which the context holds."""
        source, target = (TextSide.from_json(self.context[name]) for name in ("source", "target"))
        return source, target

    def build(self) -> nn.Module:
        """An encoder, and a decoder with attention or an aligner."""
        sizes = tuple(map(len, self.sides))
        if self.config.model == "ctc":
            return AlignerNet(self.config, *sizes)
        return TranslateNet(self.config, *sizes)

    def windows(self, data: PairData) -> Windows:
        """Pairs of nearly equal lengths; of several targets each makes a pair."""
        texts, sources, targets = self._numbered(data)
        return PairBatches(
            sources,
            targets,
            self._known,
            batch_size=min(self.config.batch_size, len(texts)),
            seed=self.config.seed,
            divide=self._divided(texts),
        )

    def _numbered(self, data: PairData) -> _Numbered:
        """The pairs to train on, divided once: those that aren't too long, one for each target."""
        source, target = self.sides
        key = (self.config.longest, source, target)
        if key in data.numbered:
            return data.numbered[key]
        limit = (self.config.longest, self.config.longest)
        sources = {pair.source: source.side(pair.source) for pair in data.train}
        targets = {text: target.side(text) for pair in data.train for text in pair.targets}
        kept = without_long(
            data.train, limit, lambda text: len(sources[text]), lambda text: len(targets[text])
        )
        texts = [(pair.source, own) for pair in kept for own in pair.targets]
        data.numbered[key] = (
            texts,
            [sources[a] for a, _ in texts],
            [targets[b] for _, b in texts],
        )
        return data.numbered[key]

    def _divided(
        self, texts: Sequence[tuple[str, str]]
    ) -> Callable[[int, np.random.Generator], tuple[Side, Side]] | None:
        """Divides the pair of a number at random, where sub-words are dropped."""
        share, (source, target) = self.config.subword_dropout, self.sides
        if not share:
            return None

        def divide(number: int, generator: np.random.Generator) -> tuple[Side, Side]:
            text, own = texts[number]
            return source.side(text, share, generator), target.side(own, share, generator)

        return divide

    @property
    def _known(self) -> Callable[[str], int] | None:
        return self.sides[1].known if self.config.copy else None

    def _too_long(self, pairs: Pairs) -> int:
        source, target = self.sides
        return sum(
            len(target.side(own)) > self.config.stretch * len(source.side(pair.source))
            for pair in pairs
            for own in pair.targets
        )

    def suited(self, windows: Windows) -> TranslateConfig:
        """As many epochs as make enough steps, where no length is given."""
        return self.config.suited(len(windows))

    def loss(self, model: nn.Module, batch: Any, state: State) -> tuple[Tensor, int, State]:
        """Nats a token of the targets, each with its end."""
        assert isinstance(model, (TranslateNet, AlignerNet))
        assert isinstance(batch, PairBatch)
        return model.loss(batch), batch.targets_in_all, None

    def validation(self, data: PairData) -> Validate | None:
        """Nats a token, the share of tokens and of whole targets that are right."""
        if not len(data.held_out):
            return None
        pairs = [(pair.source, pair.target) for pair in data.held_out]
        return PairValidation(*self.sides, pairs, self._known, 2 * self.config.batch_size)

    def complete(self, models: Sequence[nn.Module], data: PairData, retrain: Retrain) -> Converter:
        """The networks with both sides."""
        return self.restore(models, {}, {})

    def models(self, product: Converter) -> Sequence[nn.Module]:
        """The networks that are averaged."""
        return product.nets

    def restore(
        self, models: Sequence[nn.Module], tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
    ) -> Converter:
        """The product of the stored parts."""
        return Converter(self.config, *self.sides, nets_of(models))

    def held_out(self, product: Converter, data: PairData) -> Evaluation | None:
        """The figures on the held-out pairs."""
        return self.evaluate(product, data) if len(data.held_out) else None

    def evaluate(self, product: Converter, data: PairData, **options: Any) -> Evaluation:
        """Translate every source and hold the results against the targets."""
        if not len(data.held_out):
            raise DataError("The run has no held-out pairs; name data to evaluate on.")
        beams = options.pop("beams", False)
        options.pop("where", None)
        how = Generation(**options)
        return translation_judgement.judged(product, data.held_out, how, beams=beams)

    def probe(self, data: PairData, *, rows: int, steps: int) -> Probe:
        """Pairs of nearly one length, cut to the shortest; the loss is that of their targets."""
        part = data.held_out if len(data.held_out) else data.train
        source, target = self.sides
        ids = [
            (source.side(pair.source).ids[:steps], target.side(pair.target).ids[:steps])
            for pair in sorted(part, key=lambda pair: -len(pair.source))[:rows]
        ]
        least = min(len(own) for own, _ in ids)
        sources = torch.from_numpy(np.stack([own[:least] for own, _ in ids], 1))
        return Probe(sources, lambda outputs: outputs.square().sum((1, 2)))

    def module(self, product: Converter) -> nn.Module:
        """The encoder of the first network."""
        return _Read(product.nets[0].encoder)

    def facts(self, product: Converter, data: PairData, evaluation: Evaluation | None) -> Facts:
        """The data, the model, its figures, and its worst results."""
        return translation_facts.facts_of(product, data.train, data.held_out, evaluation)

    def headline(self, data: PairData, evaluation: Evaluation) -> Headline:
        """The figure that suits the targets."""
        return translation_facts.headline_of(evaluation)

    def figures(self, data: PairData) -> Figures:
        """The share of right tokens; what chance gives is not known."""
        return Figures(
            title="translation",
            quality="tokens right",
            measure="accuracy",
            chance=None,
            loss="loss (nats a token)",
            chance_loss=None,
            higher_is_better=True,
        )


class _Read(nn.Module):
    """An encoder over whole sources of one length."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder: nn.Module = encoder

    def forward(self, source: Tensor) -> Tensor:
        outputs: Tensor = self.encoder(source, torch.full((source.shape[1],), len(source)))[0]
        return outputs


TASK = Translate
