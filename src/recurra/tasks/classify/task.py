"""The classification task: texts, series, sound, pen strokes or images in, their classes out."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from recurra.config.task_config import TaskConfig
from recurra.data.transcripts.bad_items import BadItems
from recurra.data.transcripts.item import Item, kind_of_items
from recurra.errors import ConfigError, DataError
from recurra.metrics.early_classification import StoppingRule
from recurra.metrics.standard_error import standard_error
from recurra.metrics.temperature import Temperature
from recurra.nn.states import State
from recurra.reports import Headline
from recurra.tasks.classify import class_facts, class_judgement
from recurra.tasks.classify.class_names import Labels
from recurra.tasks.classify.class_session import ClassSession
from recurra.tasks.classify.config import ClassifyConfig
from recurra.tasks.classify.model import LabelBatches, class_loss, class_weights, labelled
from recurra.tasks.classify.product import Decider, deciding_nets
from recurra.tasks.inputs import Input, input_from
from recurra.tasks.inputs.collection import Collection, Part, expanded, opened, read_collection
from recurra.tasks.inputs.front_end import front_end
from recurra.tasks.inputs.item_batches import in_order
from recurra.tasks.inputs.labelled import ANY_FORM, labelled_items
from recurra.tasks.inputs.pooled_net import PooledNet
from recurra.tasks.task import Evaluation, Facts, Figures, Probe, Retrain, Source, Task
from recurra.training import Metric, Validate, Windows

__all__ = ["TASK", "Classify"]

Rows = np.ndarray[Any, Any]


class Classify(Task[ClassifyConfig, Collection, Decider]):
    """Whole sequences are read by a network that gives the probabilities of their classes."""

    configuration: ClassVar[type[TaskConfig]] = ClassifyConfig
    estimator = "recurra.tasks.classify.classifier:Classifier"
    metric: ClassVar[Metric] = Metric("accuracy", lower_is_better=False)
    unit = "items"

    def read(self, data: Any = None, **others: Any) -> Collection:
        """Read files, a folder, or pairs of a sequence and its label."""
        if data is None and not self.config.data:
            raise DataError(
                "No data to train on; give a table of texts or series with a label column, a "
                "manifest of paths and labels, or a folder with a folder for each class."
            )
        return read_collection(
            self.config, data, ANY_FORM, _refused, listing=labelled_items, classes=True
        )

    def read_measured(self, data: Any, *, where: str | None = None, **others: Any) -> Collection:
        """Read data to be measured whole."""
        bad, how = BadItems(self.config.bad_share), self.input
        items = labelled_items(self.measured_config, data, where, ANY_FORM, bad).items
        if (kind := kind_of_items(items)) != how.kind:
            raise DataError(f"The model reads {how.kind}, and the data are of kind {kind}.")
        items = expanded(type(how), items, ANY_FORM, bad)
        return Collection(how, Part(), opened(how, items, bad, _refused))

    def notes(self, data: Collection) -> list[str]:
        """Items that were left out, what is odd about others, and classes that training lacks."""
        parts = {"": data.train, " to validate on": data.held_out}
        notes = list(data.notes)
        notes += [f"Left out{what}: {part.bad}" for what, part in parts.items() if len(part.bad)]
        notes += [note for part in parts.values() for note in part.notes]
        unknown = self.labels.unknown_in(data.held_out.texts)
        if unknown:
            notes.append(_unknown_note(unknown))
        return notes

    def record(self, config: ClassifyConfig, data: Collection) -> ClassifyConfig:
        """The configuration with absolute paths."""
        valid = str(Path(config.valid).absolute()) if config.valid else None
        return dataclasses.replace(config, valid=valid)

    def sources(self, data: Collection) -> list[Source]:
        """The items trained on and those held out, by their digests."""
        return list(data.sources)

    def context_of(self, data: Collection) -> dict[str, Any]:
        """The input with the statistics of its features, and the names of the classes."""
        labels = Labels.of(data.train.texts, several=self.config.several)
        how = data.how.fitted(data.train.contents)
        context: dict[str, Any] = {"input": how.to_json(), "labels": list(labels.names)}
        if data.layout is not None:
            context["layout"] = data.layout
        if self.config.class_weights == "balanced":
            weights = class_weights(labels.encode(data.train.texts), len(labels))
            context["class_weights"] = weights.tolist()
        return context

    def grown(self, old: Mapping[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        """The input of the old run, where it has one of this kind."""
        if "input" not in old:
            return new
        if old["input"]["kind"] != new["input"]["kind"]:
            raise ConfigError(
                f"The run to start from reads {old['input']['kind']}, and the data are "
                f"{new['input']['kind']}; start from a run of the same kind."
            )
        return {**new, "input": old["input"]}

    @property
    def labels(self) -> Labels:
        """The classes that the context holds."""
        return Labels(self.context["labels"], several=self.config.several)

    @property
    def measured_config(self) -> ClassifyConfig:
        """The settings by which further data are read: of the model's kind, as training was."""
        kind, layout = self.context["input"]["kind"], self.context.get("layout", "auto")
        return dataclasses.replace(self.config, input=kind, layout=layout)

    @property
    def input(self) -> Input:
        """The input that the context holds."""
        return input_from(self.context["input"])

    def build(self) -> PooledNet:
        """A front end for the kind of input, recurrent layers, pooling, a head over the classes."""
        return PooledNet(self.config, front_end(self.config, self.input), len(self.labels))

    def windows(self, data: Collection) -> Windows:
        """Items of nearly equal lengths, distorted anew in each epoch."""
        config, part = self.config, data.train
        return LabelBatches(
            self.input,
            part.contents,
            self.labels.encode(part.texts),
            part.steps,
            batch_size=min(config.batch_size, len(part)),
            seed=config.seed,
        )

    def suited(self, windows: Windows) -> ClassifyConfig:
        """As many epochs as make enough steps, where no length is given."""
        return self.config.suited(len(windows))

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
        batches = list(in_order(self.input, contents, 2 * self.config.batch_size))
        return functools.partial(_validated, batches, targets, len(part))

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

    def held_out(self, product: Decider, data: Collection) -> Evaluation | None:
        """The figures on the held-out items."""
        return self.evaluate(product, data) if len(data.held_out) else None

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
        if not len(data.held_out):
            raise DataError("The run has no held-out items; name data to evaluate on.")
        if where is not None and data.sources:
            raise ConfigError(
                f"where = {where!r} chooses rows to measure on, and the run's own held-out items "
                "are chosen; name the data as well."
            )
        return class_judgement.judged(product, data.held_out, groups)

    def probe(self, data: Collection, *, rows: int, steps: int) -> Probe:
        """Held-out items, all cut to the shortest of them, at most `steps`, so that none is padded.

        The loss is that of each row's likeliest class.
        """
        part = data.held_out if len(data.held_out) else data.train
        features = [self.input.features(part.contents[n]) for n in range(min(rows, len(part)))]
        shortest = min(steps, *map(len, features))
        inputs = torch.from_numpy(np.stack([each[:shortest] for each in features], axis=1))

        def loss(answers: Tensor) -> Tensor:
            return -answers.log_softmax(-1).amax(-1).sum()

        return Probe((inputs, torch.full((len(features),), shortest)), loss)

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

    def session(self, product: Decider, **options: Any) -> ClassSession:
        """Answers to one sequence while it comes."""
        return ClassSession(product)

    @functools.cached_property
    def _weights(self) -> Tensor | None:
        """The weights of the classes in training."""
        weights = self.context.get("class_weights")
        return None if weights is None else torch.tensor(weights)


def _validated(
    batches: Sequence[tuple[list[int], list[Rows]]], targets: Rows, count: int, net: nn.Module
) -> dict[str, float]:
    """Nats an item of known class, and the share of all `count` items that are right, with its
    standard error.
    """
    assert isinstance(net, PooledNet)
    nats, right = 0.0, [0] * count
    for numbers, features in batches:
        batch = labelled(features, targets[numbers])
        nats += float(class_loss(net, batch, None, 0.0)) * len(numbers)
        answers = net(batch.features, batch.lengths)
        if batch.targets.dim() == 2:
            found = ((answers > 0) == (batch.targets > 0.5)).all(-1)
        else:
            found = answers.argmax(-1) == batch.targets
        for number, each in zip(numbers, found.tolist(), strict=True):
            right[number] = int(each)
    return {
        "loss": nats / len(targets),
        "accuracy": sum(right) / count,
        "accuracy_error": standard_error(right, [1] * count),
    }


def _refused(how: Input, item: Item, steps: int) -> str | None:
    """Why the network can't read an item; None where it can."""
    return "has no step; leave it out." if steps < 1 else None


def _unknown_note(unknown: Mapping[str, int]) -> str:
    shown = ", ".join(repr(each) for each in list(unknown)[:10])
    return (
        f"{sum(unknown.values()):,} of the items to validate on have a label that training lacks "
        f"({shown}): each counts as an error."
    )


TASK = Classify
