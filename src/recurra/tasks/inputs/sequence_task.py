"""What tasks share that give one answer for a sequence of any kind."""

from __future__ import annotations

import dataclasses
import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from recurra.config.sequence_config import SequenceConfig
from recurra.data.sequences.step_labels import LabelScope
from recurra.data.text_form import TextForm
from recurra.data.transcripts.bad_items import BadItems
from recurra.data.transcripts.chosen_rows import HeldOutItems
from recurra.data.transcripts.item import Item, kind_of_items
from recurra.errors import ConfigError, DataError
from recurra.nn.frontends import FilteredFrontEnd
from recurra.tasks.exportable import Exportable
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
from recurra.tasks.inputs.encoder import SequenceEncoder
from recurra.tasks.inputs.front_end import front_end, program_of
from recurra.tasks.inputs.item_batches import padded_features, spread
from recurra.tasks.inputs.labelled import ANY_FORM, labelled_items
from recurra.tasks.inputs.pooled_net import PooledNet
from recurra.tasks.inputs.step_net import StepNet
from recurra.tasks.inputs.text_input import TextInput
from recurra.tasks.inputs.vectors_of_words import take_vectors, with_vectors
from recurra.tasks.inputs.warm_start import adopted, input_of, weights_of
from recurra.tasks.inputs.weighted_items import GivenColumns, weight_source
from recurra.tasks.task import Evaluation, Source, Task
from recurra.training import Windows

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

    def settled(self, given: Iterable[str], old: Mapping[str, Any] | None) -> Self:
        """With the sizes and the input of a run to start from, or the size of word vectors."""
        made = self
        if old is not None:
            made = type(self)(adopted(self.config, old, given))
            if (how := input_of(old)) is not None:
                made.context = {"input": how}
        if self.config.vectors is not None:
            made = type(self)(with_vectors(self.config, given))
        return made

    def listed(
        self, config: Config, data: Any, where: str | None, form: TextForm, bad: BadItems | None
    ) -> Listed:
        """The items of data, with their labels."""
        return labelled_items(config, data, where, form, bad, scope=self.scope)

    def held_apart(self, config: Config, items: Sequence[Item]) -> HeldOutItems:
        """Items for training, and those held out where nothing else is validated on."""
        return held_by_column(config, items)

    def read(
        self, data: Any = None, *, sample_weight: Any = None, groups: Any = None, **others: Any
    ) -> Collection:
        """Read files, a folder, or pairs of a sequence and its label.

        Of pairs, `sample_weight` (N,) says how much each counts, and none of `groups` (N,) is both
        trained on and held out.
        """
        if data is None and not self.config.data:
            raise DataError(f"No data to train on; give {self.accepts}.")
        given = GivenColumns.of(data, sample_weight, groups)
        return read_collection(
            given.config(self.config),
            data,
            ANY_FORM,
            self._refused,
            listing=given.listing(self.listed, data),
            hold=self.held_apart,
            begun=self.input if "input" in self.context else None,
        )

    def read_measured(
        self, data: Any, *, where: str | None = None, sample_weight: Any = None, **others: Any
    ) -> Collection:
        """Read data to be measured whole; `sample_weight` as for `read`."""
        bad, how = BadItems(self.config.bad_share), self.input
        listing = GivenColumns.of(data, sample_weight, None).listing(self.listed, data)
        items = listing(self.measured_config, data, where, ANY_FORM, bad).items
        if (kind := kind_of_items(items)) != how.kind:
            raise DataError(f"The model reads {how.kind}, and the data are of kind {kind}.")
        items = expanded(type(how), items, ANY_FORM, bad)
        return Collection(how, Part(), opened(how, items, bad, self._refused))

    def notes(self, data: Collection) -> list[str]:
        """What was recognised, items that were left out, and what is odd about others."""
        parts = {"": data.train, " to validate on": data.held_out}
        notes = [*data.notes, *_read_as(data.how, self.config)]
        notes += [f"Left out{what}: {part.bad}" for what, part in parts.items() if len(part.bad)]
        return notes + [note for part in parts.values() for note in part.notes]

    def record(self, config: Config, data: Collection) -> Config:
        """The configuration with absolute paths."""
        given = {name: getattr(config, name) for name in config.places}
        places: Any = {name: os.path.abspath(each) for name, each in given.items() if each}
        return dataclasses.replace(config, **places)

    def sources(self, data: Collection) -> list[Source]:
        """The items trained on and those held out, by their digests, and weights if there are."""
        return [*data.sources, *weight_source(self.config, data)]

    def context_of(self, data: Collection) -> dict[str, Any]:
        """The input with the statistics of its features, and what there is to know of answers."""
        is_begun = "input" in self.context
        how = data.how if is_begun else data.how.fitted(data.train.contents)
        context: dict[str, Any] = {"input": how.to_json()}
        if data.layout is not None:
            context["layout"] = data.layout
        return {**context, **self.answers_of(data)}

    def suited(self, windows: Windows) -> Config:
        """As many epochs as make enough steps, where no length is given."""
        return self.config.suited(len(windows))

    @abstractmethod
    def answers_of(self, data: Collection) -> dict[str, Any]:
        """What must travel with the weights of the labels, as JSON."""

    def translated(
        self, old: Mapping[str, Any], weights: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Those of another task of sequences, or of a language model."""
        return weights_of(old, weights)

    def primed(self, model: nn.Module, data: Collection) -> str | None:
        """Vectors of words that the user has."""
        if self.config.vectors is None:
            return None
        assert isinstance(model, SequenceEncoder)
        return take_vectors(model.front, self.input, self.config)

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

    def exportables(self, product: Product) -> Sequence[Exportable]:
        """Each network: its answers to features."""
        how = self.input
        return [
            Exportable(net, net.program(program_of(how)), "items")
            for net in self.models(product)
            if isinstance(net, SequenceEncoder)
        ]

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

    def probed(
        self, data: Collection, rows: int, steps: int, known: Callable[[str], bool] | None = None
    ) -> ProbedItems:
        """Held-out items to inspect a model on, spread over the part, at most `rows`.

        Those longer than four times `steps` are cut there; `known` says which labels may be used.
        """
        part = data.held_out if len(data.held_out) else data.train
        usable = [n for n, text in enumerate(part.texts) if known is None or known(text)]
        if not usable:
            raise DataError("No item of these data has a label that training had; give others.")
        chosen = [usable[place] for place in spread(len(usable), rows)]
        contents = [part.contents[n] for n in chosen]
        features = [self.input.features(content) for content in contents]
        most = 4 * steps
        cut = any(len(each) > most for each in features)
        inputs = padded_features([each[:most] for each in features])
        return ProbedItems(inputs, [part.texts[n] for n in chosen], contents, cut)

    def _refused(self, how: Input, item: Item, steps: int) -> str | None:
        """Why the network can't read an item; None where it can."""
        return "has no step; leave it out." if steps < 1 else None


class ProbedItems(NamedTuple):
    """Items to inspect a model on: features (T, B, F) with lengths (B,), labels and contents.

    `cut`: some of them were longer.
    """

    inputs: tuple[Tensor, Tensor]
    texts: list[str]
    contents: list[Any]
    cut: bool

    def step_targets(
        self, targets: Callable[[Any], np.ndarray[Any, Any]], missing: float
    ) -> Tensor:
        """Targets of steps (T, B, L), `missing` where there is none."""
        steps = len(self.inputs[0])
        found = [targets(content)[:steps] for content in self.contents]
        whole = np.full((steps, len(found), found[0].shape[1]), missing, found[0].dtype)
        for row, own in enumerate(found):
            whole[: len(own), row] = own
        return torch.from_numpy(whole)


def _read_as(how: Input, config: SequenceConfig) -> list[str]:
    """A sentence where texts are read as characters without being asked."""
    if config.tokens != "auto" or not isinstance(how, TextInput):
        return []
    if how.tokeniser.kind != "characters":
        return []
    return ["The texts are a word or two each: they are read as characters (or give tokens)."]
