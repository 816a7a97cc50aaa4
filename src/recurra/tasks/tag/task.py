"""The tagging task: texts or series in, a tag for every word or step out."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.config.task_config import TaskConfig
from recurra.data.sequences.held_out_ends import hold_out_ends
from recurra.data.sequences.series import Series
from recurra.data.sequences.step_labels import LabelScope
from recurra.data.transcripts.chosen_rows import HeldOutItems
from recurra.data.transcripts.item import Item
from recurra.errors import ConfigError, DataError
from recurra.metrics.temperature import Temperature
from recurra.nn.states import State
from recurra.reports import Headline
from recurra.tasks.inputs.collection import Collection, Part
from recurra.tasks.inputs.front_end import front_end
from recurra.tasks.inputs.item_batches import StepBatches
from recurra.tasks.inputs.sequence_task import SequenceTask
from recurra.tasks.inputs.weighted_items import weights_of
from recurra.tasks.inputs.window_batches import WindowBatches
from recurra.tasks.tag import tag_facts, tag_judgement
from recurra.tasks.tag.config import TagConfig
from recurra.tasks.tag.model import TagNet, tag_loss
from recurra.tasks.tag.sequence_tagger import SequenceTagger, tagging_nets
from recurra.tasks.tag.tag_dialogue import TagDialogues
from recurra.tasks.tag.tag_layers import MISSING, TagLayer, encoded, layer_tags, tags_of
from recurra.tasks.tag.tag_session import TagSession
from recurra.tasks.tag.tag_validation import TagValidation
from recurra.tasks.task import Evaluation, Facts, Figures, Probe, Retrain
from recurra.training import Metric, Validate, Windows

__all__ = ["TASK", "Tag"]

_FEW = 4
"""Series that are too few for whole ones to be held out."""


class Tag(SequenceTask[TagConfig, SequenceTagger]):
    """Sequences are read by a network that scores every tag at every step."""

    configuration: ClassVar[type[TaskConfig]] = TagConfig
    estimator = "recurra.tasks.tag.tagger:Tagger"
    metric: ClassVar[Metric] = Metric("score", lower_is_better=False)
    unit = "sequences"
    accepts = (
        "a file with a token and its tags in each line, or a table of series with a label in each "
        "row"
    )

    @property
    def scope(self) -> LabelScope:
        """Each step has a tag."""
        return "step"

    def read_measured(self, data: Any, *, where: str | None = None, **others: Any) -> Collection:
        """Read data to be measured whole, with the tags of each layer."""
        found = super().read_measured(data, where=where, **others)
        _check_layers(found.held_out, [layer.name for layer in self.layers])
        return found

    def held_apart(self, config: TagConfig, items: Sequence[Item]) -> HeldOutItems:
        """Whole sequences; of a few series the last part of each."""
        series = all(isinstance(item.data, Series) for item in items)
        if series and len(items) <= _FEW and config.valid_by is None:
            return hold_out_ends(items, config.valid_fraction)
        return super().held_apart(config, items)

    def notes(self, data: Collection) -> list[str]:
        """Those of every task of sequences, and tags that training lacks."""
        notes = super().notes(data)
        if window := self._window(data):
            notes.append(
                f"Series of up to {max(data.train.steps):,} steps are trained on in windows of "
                f"{window:,} (window)."
            )
        for layer in self.layers:
            if unseen := layer.unseen_in(data.held_out.contents):
                shown = ", ".join(map(repr, list(unseen)[:10]))
                notes.append(
                    f"{sum(unseen.values()):,} tags to validate on ({layer.name}) are none that "
                    f"training has ({shown}): each counts as an error."
                )
        return notes

    def answers_of(self, data: Collection) -> dict[str, Any]:
        """The tags of each layer, and their scheme."""
        names = list(tags_of(data.train.contents[0]))
        for part in (data.train, data.held_out):
            _check_layers(part, names)
        contents = data.train.contents
        layers = [
            TagLayer.of(name, (layer_tags(each, name) for each in contents)) for name in names
        ]
        return {"layers": [dataclasses.asdict(layer) for layer in layers]}

    @functools.cached_property
    def layers(self) -> tuple[TagLayer, ...]:
        """The layers that the context holds."""
        return tuple(TagLayer(**kept) for kept in self.context["layers"])

    @property
    def learnt(self) -> list[bool]:
        """Whether a layer has a conditional random field."""
        crf = self.config.crf
        return [layer.scheme is not None if crf is None else crf for layer in self.layers]

    def build(self) -> TagNet:
        """A network with scores for each tag of each layer."""
        front = front_end(self.config, self.input, of_steps=True)
        return TagNet(self.config, front, self.layers, self.learnt)

    def windows(self, data: Collection) -> Windows:
        """Items of nearly equal lengths, distorted anew in each epoch; of long series windows."""
        config, part = self.config, data.train
        if weights_of(config, part.items) is not None:
            raise ConfigError(
                "sample_weight is given, and a tagger weighs all steps alike: leave it out, and "
                "give sequences that should count more several times."
            )
        targets = functools.partial(encoded, self.layers)
        window = self._window(data)
        if not window:
            return StepBatches(
                self.input,
                part.contents,
                targets,
                part.steps,
                padding=MISSING,
                batch_size=config.batch_of(len(part)),
                seed=config.seed,
            )
        washout = window // 4
        windows = WindowBatches.places(part.steps, window, washout)
        return WindowBatches(
            self.input,
            part.contents,
            targets,
            windows=windows,
            window=window,
            washout=washout,
            padding=MISSING,
            batch_size=config.batch_of(len(windows)),
            seed=config.seed,
        )

    def loss(self, model: nn.Module, batch: Any, state: State) -> tuple[Tensor, int, State]:
        """Nats a step."""
        assert isinstance(model, TagNet)
        return tag_loss(model, batch, self.config.label_smoothing), len(batch.lengths), None

    def validation(self, data: Collection) -> Validate | None:
        """Nats a step, the share of right tags, and the F1 of segments where there are any."""
        part = data.held_out
        if not len(part):
            return None
        return TagValidation(self.input, self.layers, part, self.config.reading_batch)

    def complete(
        self, models: Sequence[nn.Module], data: Collection, retrain: Retrain
    ) -> SequenceTagger:
        """Choose the temperatures of the probabilities on the held-out part."""
        return self.restore(models, {}, {}).calibrated(data.held_out)

    def artefacts(self, product: SequenceTagger) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What the held-out part chose."""
        return {}, {"temperatures": [each.value for each in product.temperatures]}

    def models(self, product: SequenceTagger) -> Sequence[nn.Module]:
        """The networks that are averaged."""
        return product.nets

    def restore(
        self, models: Sequence[nn.Module], tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
    ) -> SequenceTagger:
        """The product of the stored parts."""
        found = [Temperature(value) for value in facts.get("temperatures", ())]
        return SequenceTagger(self.config, self.input, self.layers, tagging_nets(models), found)

    def evaluate(
        self,
        product: SequenceTagger,
        data: Collection,
        *,
        where: str | None = None,
        groups: str | None = None,
        **options: Any,
    ) -> Evaluation:
        """The share of right tags with its interval, and figures of each tag and segment.

        `groups` names a column whose groups the interval draws whole.
        """
        return tag_judgement.judged(product, self.measured_part(data, where), groups)

    def probe(self, data: Collection, *, rows: int, steps: int) -> Probe:
        """Held-out items, at most so many steps of each; the loss is that of their tags."""
        items = self.probed(data, rows, steps)
        tags = items.step_targets(functools.partial(encoded, self.layers), MISSING)
        sizes = list(map(len, self.layers))

        def loss(scores: Tensor) -> Tensor:
            """Nats (T,) of each step, the mean over rows and layers."""
            nats: list[Tensor] = [
                functional.cross_entropy(
                    own.flatten(0, 1), kept.flatten(), ignore_index=MISSING, reduction="none"
                ).view(kept.shape)
                for own, kept in zip(torch.split(scores, sizes, -1), tags.unbind(-1), strict=True)
            ]
            return torch.stack(nats).mean((0, 2))

        return Probe(items.inputs, loss)

    def facts(
        self, product: SequenceTagger, data: Collection, evaluation: Evaluation | None
    ) -> Facts:
        """The data, the model, its figures, and its worst mistakes."""
        return tag_facts.facts_of(product, data, evaluation)

    def headline(self, data: Collection, evaluation: Evaluation) -> Headline:
        """The share of right tags, or the F1 of segments, beside a plain baseline."""
        return tag_facts.headline_of(self.layers, data, evaluation)

    def figures(self, data: Collection) -> Figures:
        """The mean over layers of right tags, or of F1; chance is each word's most frequent tag."""
        return Figures(
            title=f"tags of {self.context['input']['kind']}",
            quality="score",
            measure="score",
            chance=tag_facts.baseline(self.layers, data),
            loss="loss (nats a step)",
            chance_loss=None,
            higher_is_better=True,
        )

    def session(self, product: SequenceTagger, *, lag: int = 0, **options: Any) -> TagSession:
        """Tags of one sequence while it comes, each `lag` steps late."""
        return TagSession(product, lag)

    def dialogues(self, product: SequenceTagger, most: int) -> TagDialogues:
        """The tags of words, or of steps."""
        return TagDialogues(product)

    def _window(self, data: Collection) -> int:
        """The steps of windows; 0: sequences are trained on whole."""
        if data.how.kind != "series":
            return 0
        return self.config.window_of(max(data.train.steps))


def _check_layers(part: Part, names: Sequence[str]) -> None:
    """Raise DataError for the first item that has not the tags of these layers."""
    for item, content in zip(part.items, part.contents, strict=True):
        try:
            for name in names:
                layer_tags(content, name)
            if len(names) > 1 and len(tags_of(content)) == 1:
                raise DataError(f"has one layer of tags, and {', '.join(names)} are needed.")
        except DataError as error:
            raise DataError(f"{item.origin or item.name}: {error}") from error


TASK = Tag
