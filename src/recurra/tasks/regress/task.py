"""The regression task: texts, series, sound, pen strokes or images in, numbers out.

Labels are of whole sequences, or of every step of series; which it is the data show.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from recurra.config.task_config import TaskConfig
from recurra.data.sequences.held_out_ends import hold_out_ends
from recurra.data.sequences.step_labels import LabelScope
from recurra.data.transcripts.chosen_rows import HeldOutItems
from recurra.data.transcripts.item import Item
from recurra.errors import ConfigError, DataError
from recurra.metrics.conformal import ConformalInterval
from recurra.nn.states import State
from recurra.reports import Headline
from recurra.tasks.inputs import Input
from recurra.tasks.inputs.collection import Collection
from recurra.tasks.inputs.encoder import SequenceEncoder
from recurra.tasks.inputs.item_batches import in_order
from recurra.tasks.inputs.sequence_task import SequenceTask
from recurra.tasks.inputs.series_facts import series_facts
from recurra.tasks.inputs.weighted_items import WeightedBatches, weights_of
from recurra.tasks.inputs.window_batches import WindowBatches
from recurra.tasks.regress import value_facts, value_judgement
from recurra.tasks.regress.config import RegressConfig
from recurra.tasks.regress.estimate import Estimate, estimating_nets
from recurra.tasks.regress.least_squares import filtered, least_squares_filter, usual_taps
from recurra.tasks.regress.step_facts import step_notes
from recurra.tasks.regress.step_values import ValueSession
from recurra.tasks.regress.target_errors import target_loss, validated
from recurra.tasks.regress.targets import Targets, actual_numbers, numbers_of, step_numbers
from recurra.tasks.regress.value_dialogue import ValueDialogues
from recurra.tasks.task import Evaluation, Facts, Figures, Probe, Retrain
from recurra.training import Metric, Validate, Windows

__all__ = ["TASK", "Regress"]

Rows = np.ndarray[Any, Any]

_BATCHES = 50
"""Batches of windows in an epoch, at least."""
_LEAST_TAPS = 8
"""A filter that looks back on fewer steps is left out."""
_FEW = 4
"""Series that are too few for whole ones to be held out."""


class Regress(SequenceTask[RegressConfig, Estimate]):
    """Sequences are read by a network that gives a number, or several, in all or at every step."""

    configuration: ClassVar[type[TaskConfig]] = RegressConfig
    estimator = "recurra.tasks.regress.regressor:Regressor"
    metric: ClassVar[Metric] = Metric("loss")

    @property
    def scope(self) -> LabelScope:
        """What has a label: what the run was trained on, else what the settings say."""
        kept: LabelScope = self.context.get("answers", self.config.answers)
        return kept

    @property
    def of_steps(self) -> bool:
        """Whether every step has an answer."""
        return self.scope == "step"

    def held_apart(self, config: RegressConfig, items: Sequence[Item]) -> HeldOutItems:
        """Whole sequences; of a few series with labels of steps the last part of each."""
        steps = any(getattr(item.data, "labels", None) is not None for item in items)
        if steps and len(items) <= _FEW and config.valid_by is None:
            return hold_out_ends(items, config.valid_fraction)
        return super().held_apart(config, items)

    def read(
        self, data: Any = None, *, sample_weight: Any = None, groups: Any = None, **others: Any
    ) -> Collection:
        """Read files, a folder, or pairs of a sequence and its labels; decide what they show."""
        given, both = self.config, self.config.bidirectional
        self.config: RegressConfig = dataclasses.replace(given, bidirectional=both is not False)
        found = super().read(data, sample_weight=sample_weight, groups=groups)
        self.config = given.decided(found.train.steps if found.of_steps else None)
        if not found.of_steps:
            return found
        # What is distorted, say, is another matter now.
        return dataclasses.replace(found, how=type(found.how).of(self.config, found.train.items))

    def notes(self, data: Collection) -> list[str]:
        """Those of every task of sequences, and what was chosen for answers to every step."""
        return super().notes(data) + (step_notes(self.config, data) if self.of_steps else [])

    def answers_of(self, data: Collection) -> dict[str, Any]:
        """What has an answer, and the means and deviations of the numbers."""
        targets = Targets.of(np.concatenate(actual_numbers(data.train)))
        if not data.of_steps:
            return {"answers": "sequence", "targets": dataclasses.asdict(targets)}
        return {
            "answers": "step",
            "targets": dataclasses.asdict(targets),
            "filter": self._filter(data, targets),
        }

    def _filter(self, data: Collection, targets: Targets) -> dict[str, Any] | None:
        """The linear filter of a simulation, by least squares; None of series that are read whole,
        from their end as well, or several steps at once.
        """
        config = self.config
        how = data.how.fitted(data.train.contents)
        taps = usual_taps(how.size, config.washout or 0)
        windows = config.window < max(data.train.steps)
        if not windows or config.bidirectional or config.subsampling > 1 or taps < _LEAST_TAPS:
            return None
        pairs = (
            (how.features(content), targets.standardised(numbers))
            for content, numbers in zip(
                data.train.contents, actual_numbers(data.train), strict=True
            )
        )
        weight, bias = least_squares_filter(pairs, taps)
        return {"weight": weight.tolist(), "bias": bias.tolist()}

    @property
    def targets(self) -> Targets:
        """The numbers that the context describes."""
        return Targets(**self.context["targets"])

    def build(self) -> SequenceEncoder:
        """A network with an output for each number."""
        if not self.of_steps:
            return self.network(len(self.targets))
        kept = self.context.get("filter")
        linear = None
        if kept is not None:
            linear = torch.tensor(kept["weight"]), torch.tensor(kept["bias"])
        return self.step_network(len(self.targets), linear)

    def windows(self, data: Collection) -> Windows:
        """Items of nearly equal lengths, distorted anew in each epoch; of long series windows."""
        config, part = self.config, data.train
        weights = weights_of(config, part.items)
        if not self.of_steps:
            return WeightedBatches(
                weights,
                self.input,
                part.contents,
                self._units(np.concatenate(actual_numbers(part))),
                part.steps,
                batch_size=config.batch_of(len(part)),
                seed=config.seed,
            )
        if weights is not None:
            raise ConfigError(
                "Weights are of whole sequences, and here every step has a number: leave them out."
            )
        windows = WindowBatches.places(part.steps, config.window, config.washout or 0)
        batch_size = config.batch_of(len(windows))
        if config.window < max(part.steps):  # cut elsewhere each time, so that more are as new
            windows *= max(1, _BATCHES * config.batch_size // len(windows))
            batch_size = min(config.batch_size, len(windows))
        return WindowBatches(
            self.input,
            part.contents,
            self._step_targets,
            windows=windows,
            window=config.window,
            washout=config.washout or 0,
            padding=np.nan,
            batch_size=batch_size,
            seed=config.seed,
        )

    def loss(self, model: nn.Module, batch: Any, state: State) -> tuple[Tensor, int, State]:
        """The mean error, in units of the deviations in training."""
        return *target_loss(model, batch, self.config.error), None

    def validation(self, data: Collection) -> Validate | None:
        """The mean error of the held-out items."""
        part = data.held_out
        if not len(part):
            return None
        values = [self._units(numbers) for numbers in actual_numbers(part)]
        batches = list(in_order(self.input, part.contents, self.config.reading_batch))
        weights = weights_of(self.config, part.items)
        each = np.ones(len(part)) if weights is None else weights
        return functools.partial(validated, batches, values, self.config.error, self.of_steps, each)

    def complete(self, models: Sequence[nn.Module], data: Collection, retrain: Retrain) -> Estimate:
        """Choose the width of intervals on the held-out part."""
        made = Estimate(self.config, self.input, self.targets, estimating_nets(models))
        return made.calibrated(data.held_out)

    def artefacts(self, product: Estimate) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What the held-out part chose."""
        return {}, {"intervals": [dataclasses.asdict(each) for each in product.intervals]}

    def models(self, product: Estimate) -> Sequence[nn.Module]:
        """The networks that are averaged."""
        return product.nets

    def restore(
        self, models: Sequence[nn.Module], tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
    ) -> Estimate:
        """The product of the stored parts."""
        found = [ConformalInterval(**each) for each in facts.get("intervals", ())]
        return Estimate(self.config, self.input, self.targets, estimating_nets(models), found)

    def evaluate(
        self,
        product: Estimate,
        data: Collection,
        *,
        where: str | None = None,
        groups: str | None = None,
        **options: Any,
    ) -> Evaluation:
        """Errors and the share of variance explained, and how many intervals hold.

        `groups` names a column whose groups the interval draws whole.
        """
        return value_judgement.judged(product, self.measured_part(data, where), groups)

    def probe(self, data: Collection, *, rows: int, steps: int) -> Probe:
        """Held-out items, at most so many steps of each; the loss is the squared error."""
        items = self.probed(data, rows, steps)
        if self.of_steps:
            targets = items.step_targets(self._step_targets, np.nan)
            known = targets.isfinite()

            def step_loss(answers: Tensor) -> Tensor:
                errors = torch.where(known, answers - targets.nan_to_num(), 0.0)
                return errors.square().mean((1, 2))

            return Probe(items.inputs, step_loss)
        wanted = torch.from_numpy(
            self._units(np.stack([numbers_of(text) for text in items.texts])).astype(np.float32)
        )
        return Probe(
            items.inputs,
            lambda answers: (answers - wanted).square().mean(),
            judges=not items.cut,
        )

    def facts(self, product: Estimate, data: Collection, evaluation: Evaluation | None) -> Facts:
        """The data, the model, its figures, and its worst mistakes."""
        return value_facts.facts_of(product, data, evaluation)

    def headline(self, data: Collection, evaluation: Evaluation) -> Headline:
        """The usual error, beside that of the mean of training, and of the best linear filter."""
        return value_facts.headline_of(data, evaluation, self._linear_rmse(data))

    def figures(self, data: Collection) -> Figures:
        """The usual error; chance is the mean of training."""
        return Figures(
            title=f"regression of {self.context['input']['kind']}",
            quality="root mean squared error",
            measure="rmse",
            chance=value_facts.mean_rmse(data),
            loss="loss (in units of the deviations in training)",
            chance_loss=None,
        )

    def session(self, product: Estimate, **options: Any) -> ValueSession:
        """The numbers of each step of a series while it comes; ConfigError without such."""
        if not product.of_steps:
            raise ConfigError(
                "The model has an answer for a whole sequence, so none while it comes; predict it, "
                "or train on series with a number for each step."
            )
        return ValueSession(product)

    def page_facts(self, product: Estimate) -> dict[str, Any]:
        """The features of series, the scale of the number, and half the width of its interval."""
        targets = product.targets
        if len(targets) > 1:
            raise ConfigError(
                f"A page by itself shows one number, and the model gives {len(targets)}; use "
                "`recurra serve`."
            )
        return {
            **series_facts(product.input),
            "targetMean": float(targets.means[0]),
            "targetDeviation": float(targets.deviations[0]),
            "margin": product.intervals[0].quantile if product.intervals else None,
        }

    def dialogues(self, product: Estimate, most: int) -> ValueDialogues:
        """A number of a whole input, or of every step."""
        return ValueDialogues(product)

    def _linear_rmse(self, data: Collection) -> float | None:
        """The error of the linear filter alone on the held-out part; None without one."""
        kept, part = self.context.get("filter"), data.held_out
        if kept is None:
            return None
        weight, bias = np.array(kept["weight"]), np.array(kept["bias"])
        found = [filtered(self.input.features(each), weight, bias) for each in part.contents]
        errors = self.targets.restored(np.concatenate(found)) - np.concatenate(actual_numbers(part))
        return float(np.sqrt(np.nanmean(errors**2)))

    def _units(self, numbers: Rows) -> Rows:
        """Numbers in units of the deviations in training."""
        return self.targets.standardised(numbers).astype(np.float32)

    def _step_targets(self, content: Any) -> Rows:
        """The targets of the steps of a content."""
        return self._units(step_numbers(content.labels, len(self.targets)))

    def _refused(self, how: Input, item: Item, steps: int) -> str | None:
        """Why an item can't be used: without steps, or with a label that is no number."""
        labels = getattr(item.data, "labels", None)
        try:
            if item.text is not None:
                numbers_of(item.text)
            if labels is not None:
                step_numbers(labels)
        except DataError as error:
            return str(error)
        return super()._refused(how, item, steps)


TASK = Regress
