"""What tasks share that give one answer for a sequence of any kind."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from recurra.config.sequence_config import SequenceConfig
from recurra.data.sequences.step_labels import LabelScope
from recurra.data.text_form import TextForm
from recurra.data.transcripts.bad_items import BadItems
from recurra.data.transcripts.chosen_rows import HeldOutItems
from recurra.data.transcripts.item import Item, kind_of_items
from recurra.errors import ConfigError, DataError
from recurra.nn.frontends import FilteredFrontEnd
from recurra.tasks.inputs import Input, input_from
from recurra.tasks.inputs.collection import (
    Collection,
    Listed,
    Part,
    expanded,
    held_by_column,
    opened,
    read_collection,
)
from recurra.tasks.inputs.front_end import front_end
from recurra.tasks.inputs.labelled import ANY_FORM, labelled_items
from recurra.tasks.inputs.pooled_net import PooledNet
from recurra.tasks.inputs.step_net import StepNet
from recurra.tasks.task import Evaluation, Probe, Source, Task

__all__ = ["SequenceTask"]

LinearFilter = tuple[Tensor, Tensor]
"""The weights (K, F, taps) and the bias (K,) of a filter of features."""

Config = TypeVar("Config", bound=SequenceConfig)
Product = TypeVar("Product")


class SequenceTask(Task[Config, Collection, Product], Generic[Config, Product]):
    """Items are read, and their features given to a network with so many outputs.

    The context holds the input, the order of the axes of arrays, and what `answers_of` adds.
    """

    unit = "items"

    accepts: ClassVar[str] = (
        "a table of texts or series with a label column, a manifest of paths and labels, or a "
        "folder with a folder for each class"
    )
    """What `read` takes, in words."""

    @property
    def scope(self) -> LabelScope:
        """What has a label: a whole sequence, or each of its steps."""
        return "sequence"

    def listed(
        self, config: Config, data: Any, where: str | None, form: TextForm, bad: BadItems | None
    ) -> Listed:
        """The items of data, with their labels."""
        return labelled_items(config, data, where, form, bad, scope=self.scope)

    def held_apart(self, config: Config, items: Sequence[Item]) -> HeldOutItems:
        """Items for training, and those held out where nothing else is validated on."""
        return held_by_column(config, items)

    def read(self, data: Any = None, **others: Any) -> Collection:
        """Read files, a folder, or pairs of a sequence and its label."""
        if data is None and not self.config.data:
            raise DataError(f"No data to train on; give {self.accepts}.")
        return read_collection(
            self.config,
            data,
            ANY_FORM,
            self._refused,
            listing=self.listed,
            hold=self.held_apart,
        )

    def read_measured(self, data: Any, *, where: str | None = None, **others: Any) -> Collection:
        """Read data to be measured whole."""
        bad, how = BadItems(self.config.bad_share), self.input
        items = self.listed(self.measured_config, data, where, ANY_FORM, bad).items
        if (kind := kind_of_items(items)) != how.kind:
            raise DataError(f"The model reads {how.kind}, and the data are of kind {kind}.")
        items = expanded(type(how), items, ANY_FORM, bad)
        return Collection(how, Part(), opened(how, items, bad, self._refused))

    def notes(self, data: Collection) -> list[str]:
        """What was recognised, items that were left out, and what is odd about others."""
        parts = {"": data.train, " to validate on": data.held_out}
        notes = list(data.notes)
        notes += [f"Left out{what}: {part.bad}" for what, part in parts.items() if len(part.bad)]
        return notes + [note for part in parts.values() for note in part.notes]

    def record(self, config: Config, data: Collection) -> Config:
        """The configuration with absolute paths."""
        valid = str(Path(config.valid).absolute()) if config.valid else None
        return dataclasses.replace(config, valid=valid)

    def sources(self, data: Collection) -> list[Source]:
        """The items trained on and those held out, by their digests."""
        return list(data.sources)

    def context_of(self, data: Collection) -> dict[str, Any]:
        """The input with the statistics of its features, and what there is to know of answers."""
        context: dict[str, Any] = {"input": data.how.fitted(data.train.contents).to_json()}
        if data.layout is not None:
            context["layout"] = data.layout
        return {**context, **self.answers_of(data)}

    @abstractmethod
    def answers_of(self, data: Collection) -> dict[str, Any]:
        """What must travel with the weights of the labels, as JSON."""

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
    def measured_config(self) -> Config:
        """The settings by which further data are read: of the model's kind, as training was."""
        kind, layout = self.context["input"]["kind"], self.context.get("layout", "auto")
        return dataclasses.replace(self.config, input=kind, layout=layout)

    @property
    def input(self) -> Input:
        """The input that the context holds."""
        return input_from(self.context["input"])

    def network(self, outputs: int) -> PooledNet:
        """A front end for the kind of input, recurrent layers, pooling, so many outputs."""
        return PooledNet(self.config, front_end(self.config, self.input), outputs)

    def step_network(self, outputs: int, linear: LinearFilter | None = None) -> StepNet:
        """The same with so many outputs for every step, none of which the front end joins.

        `linear` is a filter whose answers the network corrects.
        """
        front = front_end(self.config, self.input, of_steps=True)
        if linear is not None:
            front = FilteredFrontEnd(front, *linear)
        return StepNet(self.config, front, outputs)

    def held_out(self, product: Product, data: Collection) -> Evaluation | None:
        """The figures on the held-out items."""
        return self.evaluate(product, data) if len(data.held_out) else None

    def measured_part(self, data: Collection, where: str | None) -> Part:
        """The items to measure on; DataError and ConfigError where they can't be."""
        if not len(data.held_out):
            raise DataError("The run has no held-out items; name data to evaluate on.")
        if where is not None and data.sources:
            raise ConfigError(
                f"where = {where!r} chooses rows to measure on, and the run's own held-out items "
                "are chosen; name the data as well."
            )
        return data.held_out

    def cut_probe(
        self, data: Collection, rows: int, steps: int, loss: Callable[[Tensor], Tensor]
    ) -> Probe:
        """Held-out items cut to the shortest of them, at most `steps`, so that none is padded."""
        part = data.held_out if len(data.held_out) else data.train
        features = [self.input.features(part.contents[n]) for n in range(min(rows, len(part)))]
        shortest = min(steps, *map(len, features))
        inputs = torch.from_numpy(np.stack([each[:shortest] for each in features], axis=1))
        return Probe((inputs, torch.full((len(features),), shortest)), loss)

    def _refused(self, how: Input, item: Item, steps: int) -> str | None:
        """Why the network can't read an item; None where it can."""
        return "has no step; leave it out." if steps < 1 else None
