"""The translation task: one sequence into another, by attention or by alignment."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from recurra.config.task_config import TaskConfig
from recurra.data.pairs.pair_sources import read_pairs
from recurra.data.pairs.text_pair import Pairs, hold_out_pairs
from recurra.data.texts.token_vocabulary import TokenVocabulary
from recurra.data.transcripts.bad_items import BadItems
from recurra.errors import ConfigError, DataError
from recurra.nn.states import State
from recurra.reports import Headline
from recurra.tasks.task import Evaluation, Facts, Figures, Probe, Retrain, Source, Task
from recurra.tasks.translate import translation_facts, translation_judgement
from recurra.tasks.translate.aligner import AlignerNet
from recurra.tasks.translate.back_translation import drawn_pairs
from recurra.tasks.translate.config import Generation, TranslateConfig
from recurra.tasks.translate.converter import Converter, nets_of
from recurra.tasks.translate.model import PairBatch, TranslateNet
from recurra.tasks.translate.pair_batches import PairBatches, Side, joined, of_one_length
from recurra.tasks.translate.pair_data import PairData
from recurra.tasks.translate.pair_validation import PairValidation
from recurra.tasks.translate.text_side import TextSide, described_side, sides_of
from recurra.tasks.translate.translation_dialogue import TranslationDialogues
from recurra.training import Metric, Validate, Windows

__all__ = ["TASK", "Translate"]


class Translate(Task[TranslateConfig, PairData, Converter]):
    """Sequences are read by an encoder, and what they become is written token by token."""

    configuration: ClassVar[type[TaskConfig]] = TranslateConfig
    estimator = "recurra.tasks.translate.translator:Translator"
    metric: ClassVar[Metric] = Metric("accuracy", lower_is_better=False)
    unit = "tokens"

    def settled(self, given: Iterable[str], old: Mapping[str, Any] | None) -> Self:
        """With the sizes and the tokens of a run to start from."""
        settings: Mapping[str, Any] = {} if old is None else old["settings"]
        for name in set(self.config.dividing) & set(given) & settings.keys():
            own, there = getattr(self.config, name), settings[name]
            if own not in (there, "auto"):
                raise ConfigError(
                    f"{name} = {own!r}, and the run to start from has {name} = {there!r}; its "
                    f"tokens stay as they are: leave {name} out, or train without start."
                )
        return super().settled(given, old)

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
            held = self._pairs(list(config.valid_files) or given, config.valid_where)
        elif not config.valid_fraction:
            held = Pairs(())
        else:
            pairs, held = hold_out_pairs(pairs, config.valid_fraction, config.seed)
        return PairData(self._with_drawn(pairs), held)

    def _with_drawn(self, pairs: Pairs) -> Pairs:
        """Pairs to train on with those of further targets, if there are any."""
        config = self.config
        if config.monolingual is None or config.backwards is None:
            return pairs
        drawn = drawn_pairs(config.monolingual, config.backwards, config.seed)
        note = (
            f"{len(drawn):,} pairs have a source that {config.backwards} drew for a target of "
            f"{config.monolingual}."
        )
        return dataclasses.replace(pairs, pairs=(*pairs.pairs, *drawn), notes=(*pairs.notes, note))

    def read_measured(self, data: Any, *, where: str | None = None, **others: Any) -> PairData:
        """Read pairs to be measured; none is too long."""
        return PairData(Pairs(()), self._pairs(data, where))

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
        pairs = [*data.train, *data.held_out]
        source, target = self.sides
        notes += source.unknown_note("sources", [pair.source for pair in pairs])
        notes += target.unknown_note("targets", [text for pair in pairs for text in pair.targets])
        if self.config.model == "ctc" and (short := self._too_long(data)):
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
        valid = ",".join(str(Path(path).absolute()) for path in config.valid_files) or None
        others: Any = {
            name: os.path.abspath(each)
            for name in ("monolingual", "backwards")
            if (each := getattr(config, name)) is not None
        }
        return dataclasses.replace(config, valid=valid, **others)

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
        sides = sides_of(self.config, pairs.sources, targets)
        source, target = (side.to_json() for side in sides)
        ratio = data.divided(sides, self.config.longest).ratio
        return {"source": source, "target": target, "ratio": ratio}

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
        pairs = data.divided(self.sides, self.config.longest)
        return PairBatches(
            pairs.sources,
            pairs.targets,
            self._copied,
            batch_size=self.config.batch_of(len(pairs.texts)),
            seed=self.config.seed,
            divide=self._divided(pairs.texts),
        )

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
    def _copied(self) -> TokenVocabulary | None:
        return self.sides[1].vocabulary if self.config.copy else None

    def _too_long(self, data: PairData) -> int:
        """Targets with more tokens than an aligner has steps."""
        pairs = data.divided(self.sides, self.config.longest)
        both = zip(pairs.sources, pairs.targets, strict=True)
        return sum(len(target) > self.config.stretch * len(source) for source, target in both)

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
        return PairValidation(*self.sides, pairs, self._copied, self.config.reading_batch)

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
        return Converter(self.config, *self.sides, nets_of(models), self.context["ratio"])

    def held_out(self, product: Converter, data: PairData) -> Evaluation | None:
        """The figures on the held-out pairs."""
        return self.evaluate(product, data) if len(data.held_out) else None

    def evaluate(
        self,
        product: Converter,
        data: PairData,
        *,
        where: str | None = None,
        beams: bool = False,
        **options: Any,
    ) -> Evaluation:
        """Translate every source and hold the results against the targets."""
        if not len(data.held_out):
            raise DataError("The run has no held-out pairs; name data to evaluate on.")
        if where is not None and len(data.train):
            raise ConfigError(
                f"where = {where!r} chooses rows to measure on, and the run's own held-out pairs "
                "are chosen; name the data as well."
            )
        how = Generation(**options)
        return translation_judgement.judged(product, data.held_out, how, beams=beams)

    def probe(self, data: PairData, *, rows: int, steps: int) -> Probe:
        """Long pairs cut to one length; the loss is that of each token of the targets.

        That of an aligner is of each step's likeliest token.
        """
        part = data.held_out if len(data.held_out) else data.train
        chosen = sorted(part, key=lambda pair: -len(pair.source))[:rows]
        texts = zip(*((pair.source, pair.target) for pair in chosen), strict=True)
        sources, targets = (
            of_one_length([side.side(text) for text in own], steps)
            for side, own in zip(self.sides, texts, strict=True)
        )
        batch = joined(sources, targets, self._copied)
        if self.config.model == "ctc":
            return Probe((batch,), lambda frames: -frames.amax(-1).sum(1), judges=False)
        wanted = functional.pad(batch.wanted, (0, 0, 0, 1)).unsqueeze(-1)
        return Probe(
            (batch,),
            lambda log_probs: -log_probs.gather(2, wanted).sum((1, 2)),
            labels=[*targets[0].tokens, "(end)"],
        )

    def facts(self, product: Converter, data: PairData, evaluation: Evaluation | None) -> Facts:
        """The data, the model, its figures, and its worst results."""
        return translation_facts.facts_of(product, data.train, data.held_out, evaluation)

    def headline(self, data: PairData, evaluation: Evaluation) -> Headline:
        """The figure that suits the targets."""
        return translation_facts.headline_of(evaluation)

    def figures(self, data: PairData) -> Figures:
        """BLEU of sentences, the share of exact results of short outputs."""
        prose = self.sides[1].is_prose
        return Figures(
            title="translation",
            quality="BLEU" if prose else "results exact",
            measure="bleu" if prose else "exact",
            chance=None,
            loss="loss (nats a token)",
            chance_loss=None,
            higher_is_better=True,
        )

    def dialogues(self, product: Converter, most: int) -> TranslationDialogues:
        """What texts become."""
        return TranslationDialogues(product)


TASK = Translate
