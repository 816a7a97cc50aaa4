"""The classification task: texts, series, sound, pen strokes or images in, their classes out."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.config.task_config import TaskConfig
from recurra.data.sequences.series import Series
from recurra.data.sequences.step_labels import LabelScope
from recurra.data.sequences.step_windows import (
    RECORDING,
    hold_out_stretches,
    usual_window,
    windowed,
)
from recurra.data.text_form import TextForm
from recurra.data.transcripts.bad_items import BadItems
from recurra.data.transcripts.chosen_rows import HeldOutItems, hold_out_of_classes
from recurra.data.transcripts.item import Item
from recurra.data.transcripts.sound_windows import SOUND_STEP, sound_windows
from recurra.errors import ConfigError, DataError
from recurra.metrics.early_classification import StoppingRule
from recurra.metrics.standard_error import standard_error
from recurra.metrics.temperature import Temperature
from recurra.nn.states import State
from recurra.reports import Headline
from recurra.tasks.classify import class_facts, class_judgement
from recurra.tasks.classify.class_dialogue import ClassDialogues
from recurra.tasks.classify.class_names import Labels
from recurra.tasks.classify.class_session import ClassSession
from recurra.tasks.classify.config import ClassifyConfig
from recurra.tasks.classify.decider import Decider, deciding_nets
from recurra.tasks.classify.model import class_loss, class_weights
from recurra.tasks.inputs.collection import Collection, Listed
from recurra.tasks.inputs.item_batches import TargetBatch, in_order
from recurra.tasks.inputs.pooled_net import PooledNet
from recurra.tasks.inputs.sequence_task import SequenceTask
from recurra.tasks.inputs.series_facts import series_facts
from recurra.tasks.inputs.weighted_items import WeightedBatches, weights_of
from recurra.tasks.task import Evaluation, Facts, Figures, Probe, Retrain
from recurra.training import Metric, Validate, Windows

__all__ = ["TASK", "Classify"]

Rows = np.ndarray[Any, Any]


class Classify(SequenceTask[ClassifyConfig, Decider]):
    """Whole sequences are read by a network that gives the probabilities of their classes."""

    configuration: ClassVar[type[TaskConfig]] = ClassifyConfig
    estimator = "recurra.tasks.classify.classifier:Classifier"
    metric: ClassVar[Metric] = Metric("accuracy", lower_is_better=False)

    @property
    def scope(self) -> LabelScope:
        """What has a label: whole sequences, or the steps of long ones, which are cut."""
        if self.config.several or (self.context and not self.cuts):
            return "sequence"
        return "step" if self.cuts else "auto"

    @property
    def cuts(self) -> bool:
        """Whether long series are cut into windows."""
        return bool(self.context.get("windows", False))

    def listed(
        self,
        config: ClassifyConfig,
        data: Any,
        where: str | None,
        form: TextForm,
        bad: BadItems | None,
    ) -> Listed:
        """The items of data with their labels, long series as windows."""
        found = super().listed(config, data, where, form, bad)
        steps = [item for item in found.items if getattr(item.data, "labels", None) is not None]
        if not steps and not config.window_length:
            return found
        if all(item.kind == "sound" for item in found.items):
            return self._of_sound(config, found)
        if not all(isinstance(item.data, Series) for item in found.items):
            raise ConfigError(
                f"window_length = {config.window_length:g} is for series and sound, and the data "
                f"are of kind {found.items[0].kind}: leave it out."
            )
        length, hop = config.cut_by(usual_window(steps))
        self.config: ClassifyConfig = dataclasses.replace(
            self.config, window_length=length, hop=hop
        )
        items = windowed(found.items, length, hop)
        note = (
            f"Series are cut into {len(items):,} windows of {length:,} steps, {hop:,} from one to "
            "the next, each with the label of most of its steps (window_length, hop)."
        )
        return found._replace(items=items, notes=(*found.notes, note))

    def _of_sound(self, config: ClassifyConfig, found: Listed) -> Listed:
        """The windows of recordings, which may have labelled parts."""
        length, hop = config.cut_by(0, SOUND_STEP)
        self.config = dataclasses.replace(self.config, hop=hop * SOUND_STEP)
        items = sound_windows(found.items, length, hop)
        if not items:
            raise DataError(
                f"No window of {config.window_length:g} seconds has a label for half of it; give a "
                "shorter window_length, or leave it out: parts are items then."
            )
        note = (
            f"Recordings are cut into {len(items):,} windows of {config.window_length:g} seconds, "
            f"{hop * SOUND_STEP:g} from one to the next (window_length, hop), each with the label "
            "of most of it. Windows labelled for less than half are left out: what else is heard "
            "needs a label of its own."
        )
        return found._replace(items=items, notes=(*found.notes, note))

    def held_apart(self, config: ClassifyConfig, items: Sequence[Item]) -> HeldOutItems:
        """A share of each class, unless a column says what stays together; of windows stretches."""
        if any(RECORDING in item.columns for item in items) and self.config.window_length:
            return hold_out_stretches(items, config.valid_fraction, config.seed, by=config.valid_by)
        if config.valid_by is not None:
            return super().held_apart(config, items)
        return hold_out_of_classes(items, config.valid_fraction, config.seed)

    def notes(self, data: Collection) -> list[str]:
        """Those of every task of sequences, and classes that training lacks."""
        unknown = self.labels.unknown_in(data.held_out.texts)
        return super().notes(data) + ([_unknown_note(unknown)] if unknown else [])

    def answers_of(self, data: Collection) -> dict[str, Any]:
        """The names of the classes, and their weights where rare ones count more."""
        labels = Labels.of(data.train.texts, several=self.config.several)
        answers: dict[str, Any] = {"labels": list(labels.names)}
        if self.config.window_length:
            answers["windows"] = True
        if self.config.class_weights == "balanced":
            weights = class_weights(labels.encode(data.train.texts), len(labels))
            answers["class_weights"] = weights.tolist()
        return answers

    @property
    def labels(self) -> Labels:
        """The classes that the context holds."""
        return Labels(self.context["labels"], several=self.config.several)

    def build(self) -> PooledNet:
        """A network with an output for each class."""
        return self.network(len(self.labels))

    def windows(self, data: Collection) -> Windows:
        """Items of nearly equal lengths, distorted anew in each epoch."""
        config, part = self.config, data.train
        return WeightedBatches(
            weights_of(config, part.items),
            self.input,
            part.contents,
            self.labels.encode(part.texts),
            part.steps,
            batch_size=config.batch_of(len(part)),
            seed=config.seed,
        )

    def loss(self, model: nn.Module, batch: Any, state: State) -> tuple[Tensor, int, State]:
        """Nats an item."""
        assert isinstance(model, PooledNet)
        config = self.config
        loss = class_loss(model, batch, self._weights, config.label_smoothing)
        return loss, len(batch.targets), None

    def validation(self, data: Collection) -> Validate | None:
        """Nats an item and the share of right items; those of unknown classes are wrong."""
        part = data.held_out
        if not len(part):
            return None
        labels = self.labels
        known = [n for n, text in enumerate(part.texts) if not labels.unknown_in([text])]
        if not known:
            raise DataError(
                "None of the items to validate on has a class that training has; choose others."
            )
        contents = [part.contents[n] for n in known]
        targets = labels.encode([part.texts[n] for n in known])
        batches = list(in_order(self.input, contents, self.config.reading_batch))
        weights = weights_of(self.config, part.items)
        each = np.ones(len(part)) if weights is None else weights
        counts = each[known], np.delete(each, known)
        return functools.partial(_validated, batches, targets, *counts)

    def complete(self, models: Sequence[nn.Module], data: Collection, retrain: Retrain) -> Decider:
        """Choose the temperature of the answers on the held-out part."""
        made = Decider(self.config, self.input, self.labels, deciding_nets(models))
        return made.calibrated(data.held_out)

    def artefacts(self, product: Decider) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What the held-out part chose."""
        rule = None if product.rule is None else dataclasses.asdict(product.rule)
        return {}, {"temperature": dataclasses.asdict(product.temperature), "rule": rule}

    def models(self, product: Decider) -> Sequence[nn.Module]:
        """The networks that are averaged."""
        return product.nets

    def restore(
        self, models: Sequence[nn.Module], tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
    ) -> Decider:
        """The product of the stored parts."""
        made = Decider(self.config, self.input, self.labels, deciding_nets(models))
        if not facts:
            return made
        return dataclasses.replace(
            made,
            temperature=Temperature(**facts["temperature"]),
            rule=None if facts["rule"] is None else StoppingRule(**facts["rule"]),
        )

    def evaluate(
        self,
        product: Decider,
        data: Collection,
        *,
        where: str | None = None,
        groups: str | None = None,
        **options: Any,
    ) -> Evaluation:
        """The share of right items with its interval, and figures of each class.

        `groups` names a column whose groups the interval draws whole.
        """
        part = self.measured_part(data, where)
        if self.cuts and groups is None:
            groups = RECORDING
        return class_judgement.judged(product, part, groups)

    def probe(self, data: Collection, *, rows: int, steps: int) -> Probe:
        """Held-out items, at most so many steps of each; the loss is that of their classes."""
        labels = self.labels
        items = self.probed(data, rows, steps, lambda text: not labels.unknown_in([text]))
        targets = torch.from_numpy(labels.encode(items.texts))

        def loss(answers: Tensor) -> Tensor:
            if targets.dim() == 2:
                return functional.binary_cross_entropy_with_logits(answers, targets)
            return functional.cross_entropy(answers, targets)

        return Probe(items.inputs, loss, judges=not items.cut)

    def facts(self, product: Decider, data: Collection, evaluation: Evaluation | None) -> Facts:
        """The data, the model, its figures, and its worst mistakes."""
        return class_facts.facts_of(product, data, evaluation)

    def headline(self, data: Collection, evaluation: Evaluation) -> Headline:
        """The share of right items, beside that of the most frequent class."""
        return class_facts.headline_of(data, evaluation)

    def figures(self, data: Collection) -> Figures:
        """The share of right items; chance is the most frequent class of training."""
        return Figures(
            title=f"classification of {self.context['input']['kind']}",
            quality="accuracy",
            measure="accuracy",
            chance=class_facts.majority(data),
            loss="loss (nats an item)",
            chance_loss=None,
            higher_is_better=True,
        )

    def session(self, product: Decider, *, rate: int | None = None, **options: Any) -> ClassSession:
        """Answers to one sequence while it comes; sound at `rate`, by default the model's.

        ConfigError for a model of windows.
        """
        if self.cuts:
            raise ConfigError(
                "The model was trained on windows of long series, so it has no answer to the "
                "whole of one while it comes; predict windows, or tag every step (recurra train "
                "tag)."
            )
        return ClassSession(product, rate)

    def page_facts(self, product: Decider) -> dict[str, Any]:
        """The features of series, and the temperature."""
        return {**series_facts(product.input), "temperature": product.temperature.value}

    def dialogues(self, product: Decider, most: int) -> ClassDialogues:
        """The probabilities of classes after every step; ConfigError for a model of windows."""
        if self.cuts:
            raise ConfigError(
                "The model was trained on windows of long series, which aren't served; use recurra "
                "predict."
            )
        return ClassDialogues(product)

    @functools.cached_property
    def _weights(self) -> Tensor | None:
        """The weights of the classes in training."""
        weights = self.context.get("class_weights")
        return None if weights is None else torch.tensor(weights)


def _validated(
    batches: Sequence[tuple[list[int], list[Rows]]],
    targets: Rows,
    weights: Rows,
    unknown: Rows,
    net: nn.Module,
) -> dict[str, float]:
    """Nats an item of known class, and the share of items that are right, with its standard error.

    Items count by their `weights`; others, of weights `unknown`, are of unknown classes and wrong.
    """
    assert isinstance(net, PooledNet)
    nats, right = 0.0, np.zeros(len(targets))
    for numbers, features in batches:
        own = torch.from_numpy(weights[numbers].astype(np.float32))
        batch = TargetBatch.of(features, targets[numbers])._replace(weights=own)
        nats += float(class_loss(net, batch, None, 0.0)) * len(numbers)
        answers = net(batch.features, batch.lengths)
        if batch.targets.dim() == 2:
            found = ((answers > 0) == (batch.targets > 0.5)).all(-1)
        else:
            found = answers.argmax(-1) == batch.targets
        right[numbers] = found.numpy()
    shares = np.concatenate([right * weights, 0 * unknown])
    every = np.concatenate([weights, unknown])
    return {
        "loss": nats / weights.sum(),
        "accuracy": shares.sum() / every.sum(),
        "accuracy_error": standard_error(shares, every),
    }


def _unknown_note(unknown: Mapping[str, int]) -> str:
    shown = ", ".join(repr(each) for each in list(unknown)[:10])
    return (
        f"{sum(unknown.values()):,} of the items to validate on have a label that training lacks "
        f"({shown}): each counts as an error."
    )


TASK = Classify
