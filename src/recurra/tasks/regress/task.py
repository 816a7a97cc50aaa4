"""The regression task: texts, series, sound, pen strokes or images in, numbers out."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from recurra.config.task_config import TaskConfig
from recurra.data.transcripts.item import Item
from recurra.errors import DataError
from recurra.metrics.conformal import ConformalInterval
from recurra.nn.states import State
from recurra.reports import Headline
from recurra.tasks.inputs import Input
from recurra.tasks.inputs.collection import Collection
from recurra.tasks.inputs.item_batches import TargetBatch, in_order
from recurra.tasks.inputs.pooled_net import PooledNet
from recurra.tasks.inputs.sequence_task import SequenceTask
from recurra.tasks.inputs.weighted_items import WeightedBatches, weights_of
from recurra.tasks.network import penalised
from recurra.tasks.regress import value_facts, value_judgement
from recurra.tasks.regress.config import RegressConfig
from recurra.tasks.regress.estimate import Estimate, estimating_nets
from recurra.tasks.regress.targets import Targets, numbers_of
from recurra.tasks.task import Evaluation, Facts, Figures, Probe, Retrain
from recurra.training import Metric, Validate, Windows

__all__ = ["TASK", "Regress"]

Rows = np.ndarray[Any, Any]


class Regress(SequenceTask[RegressConfig, Estimate]):
    """Whole sequences are read by a network that gives a number, or several."""

    configuration: ClassVar[type[TaskConfig]] = RegressConfig
    estimator = "recurra.tasks.regress.regressor:Regressor"
    metric: ClassVar[Metric] = Metric("loss")

    def answers_of(self, data: Collection) -> dict[str, Any]:
        """The means and deviations of the numbers."""
        return {"targets": dataclasses.asdict(Targets.of(data.train.texts))}

    @property
    def targets(self) -> Targets:
        """The numbers that the context describes."""
        return Targets(**self.context["targets"])

    def build(self) -> PooledNet:
        """A network with an output for each number."""
        return self.network(len(self.targets))

    def windows(self, data: Collection) -> Windows:
        """Items of nearly equal lengths, distorted anew in each epoch."""
        config, part, targets = self.config, data.train, self.targets
        return WeightedBatches(
            weights_of(config, part.items),
            self.input,
            part.contents,
            targets.standardised(targets.numbers(part.texts)).astype(np.float32),
            part.steps,
            batch_size=config.batch_of(len(part)),
            seed=config.seed,
        )

    def loss(self, model: nn.Module, batch: Any, state: State) -> tuple[Tensor, int, State]:
        """The mean error, in units of the deviations in training."""
        assert isinstance(model, PooledNet)
        return _value_loss(model, batch, self.config.error), len(batch.targets), None

    def validation(self, data: Collection) -> Validate | None:
        """The mean error of the held-out items."""
        part, targets = data.held_out, self.targets
        if not len(part):
            return None
        values = targets.standardised(targets.numbers(part.texts)).astype(np.float32)
        batches = list(in_order(self.input, part.contents, self.config.reading_batch))
        weights = weights_of(self.config, part.items)
        each = np.ones(len(part)) if weights is None else weights
        return functools.partial(_validated, batches, values, each, self.config.error)

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
        """Held-out items of one length; the loss is the sum of the answers."""
        return self.cut_probe(data, rows, steps, lambda answers: answers.sum())

    def facts(self, product: Estimate, data: Collection, evaluation: Evaluation | None) -> Facts:
        """The data, the model, its figures, and its worst mistakes."""
        return value_facts.facts_of(product, data, evaluation)

    def headline(self, data: Collection, evaluation: Evaluation) -> Headline:
        """The usual error, beside that of predicting the mean of training always."""
        return value_facts.headline_of(data, evaluation)

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

    def _refused(self, how: Input, item: Item, steps: int) -> str | None:
        """Why an item can't be used: without steps, or with a label that is no number."""
        if item.text is not None:
            try:
                numbers_of(item.text)
            except DataError as error:
                return str(error)
        return super()._refused(how, item, steps)


def _value_loss(net: PooledNet, batch: TargetBatch, error: str) -> Tensor:
    """The mean error, each item's by its weight, with the penalties' gradient."""
    answers, penalty = net.answered(batch.features, batch.lengths)
    losses = functional.mse_loss if error == "squared" else functional.l1_loss
    if batch.weights is None:
        return penalised(losses(answers, batch.targets), penalty)
    each = losses(answers, batch.targets, reduction="none").mean(1)
    return penalised((batch.weights * each).mean(), penalty)


def _validated(
    batches: Sequence[tuple[list[int], list[Rows]]],
    targets: Rows,
    weights: Rows,
    error: str,
    net: nn.Module,
) -> dict[str, float]:
    """The mean error of all items, each by its weight, with its standard error."""
    assert isinstance(net, PooledNet)
    each = np.zeros(len(targets))
    for numbers, features in batches:
        batch = TargetBatch.of(features, targets[numbers])
        distances = (net(batch.features, batch.lengths) - batch.targets).double().numpy()
        each[numbers] = (distances**2 if error == "squared" else np.abs(distances)).mean(1)
    each, count = each * weights, len(each)
    spread = float(each.std(ddof=1) / np.sqrt(count)) if count > 1 else 0.0
    return {"loss": float(each.mean()), "loss_error": spread}


TASK = Regress
