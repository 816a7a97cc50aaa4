"""The long-range problems as a task, and its estimator: train, load, test."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from recurra.config.task_config import TaskConfig
from recurra.errors import DataError
from recurra.nn.states import State
from recurra.reports import Headline, Section
from recurra.tasks.estimator import Estimator
from recurra.tasks.exportable import Exportable
from recurra.tasks.long_range.config import LongRangeConfig
from recurra.tasks.long_range.model import (
    LongRangeNet,
    SequenceScore,
    loss_of,
    measure,
    training_loss,
)
from recurra.tasks.long_range.sequences import held_out, training_windows
from recurra.tasks.signature import options_of
from recurra.tasks.task import Evaluation, Facts, Figures, Probe, Source, Task
from recurra.training import Validate, Windows

__all__ = ["TASK", "LongRange", "LongRangeTask"]


class LongRangeTask(Task[LongRangeConfig, None, nn.Module]):
    """Sequences are drawn, or read from MNIST's digits; the test sequences are the same for all."""

    configuration: ClassVar[type[TaskConfig]] = LongRangeConfig
    estimator = "recurra.tasks.long_range.task:LongRange"
    unit = "steps"

    def read(self, data: Any = None, **others: Any) -> None:
        """Nothing: sequences are drawn when they are asked for. DataError for data given."""
        if data is not None:
            raise DataError(
                f"{data!r} was given, and the sequences of long-range problems are drawn, not "
                "read; leave the data out."
            )

    def sources(self, data: None) -> list[Source]:
        """The problem's definition."""
        key = f"{self.config.problem} {self.config.length}"
        return [Source("problem", self.config.problem, hashlib.sha256(key.encode()).hexdigest())]

    def build(self) -> LongRangeNet:
        """Recurrent layers, and a linear layer over their outputs."""
        return LongRangeNet(self.config)

    def windows(self, data: None) -> Windows:
        """Batches of sequences that no epoch repeats, or digits in another order each epoch."""
        return training_windows(self.config)

    def loss(self, model: nn.Module, batch: Any, state: State) -> tuple[Tensor, int, State]:
        """Squared error or cross-entropy; nothing is carried from batch to batch."""
        return training_loss(model, batch, state)

    def validation(self, data: None) -> Validate:
        """Loss and accuracy on the validation sequences."""
        batches = list(held_out(self.config, "valid"))
        return lambda net: _numbers(measure(net, batches))

    def held_out(self, product: nn.Module, data: None) -> Evaluation:
        """Loss and accuracy on the test sequences."""
        return self.evaluate(product, data)

    def evaluate(self, product: nn.Module, data: None, **options: Any) -> Evaluation:
        """Loss and accuracy on the test sequences.

        Where every step has a target, accuracy is that of the symbols to be recalled.
        """
        measured = measure(product.eval(), held_out(self.config, "test"))
        problem = self.config.definition
        accuracy = measured.accuracy
        shown: dict[str, object] = {
            "test loss": f"{measured.loss:.3g} ({problem.loss})",
            **({} if accuracy is None else {"test accuracy": f"{100 * accuracy:.2f} %"}),
            "by chance": f"{problem.chance(self.config.length):.3g} ({problem.measure})",
        }
        return Evaluation(_numbers(measured), [Section("Test", shown)])

    def probe(self, data: None, *, rows: int, steps: int) -> Probe:
        """The first test sequences, whole; where all steps have a target, the last one's loss."""
        batch = next(iter(held_out(self.config, "test")))
        targets = batch.targets[..., :rows]

        def loss(outputs: Tensor) -> Tensor:
            every = self.config.definition.at_every_step
            return loss_of(outputs[-1], targets[-1]) if every else loss_of(outputs, targets)

        return Probe(batch.inputs[:, :rows], loss)

    def exportables(self, product: nn.Module) -> Sequence[Exportable]:
        """Each network: its outputs."""
        nets = self.models(product)
        return [
            Exportable(net, net.program(), "whole") for net in nets if isinstance(net, LongRangeNet)
        ]

    def facts(self, product: nn.Module, data: None, evaluation: Evaluation | None) -> Facts:
        """The problem and the model; the headline has the test."""
        config, problem = self.config, self.config.definition
        sizes = sum(parameter.numel() for parameter in self.module(product).parameters())
        about = {
            "problem": problem.summary,
            "source": problem.source,
            "steps": f"{config.steps:,}",
        }
        sections = [
            Section("Problem", about),
            Section("Model", {**self._model(), "parameters": f"{sizes:,}"}),
        ]
        title = f"{config.problem}, T = {config.length}: {config.cell}"
        return Facts(title, sections, ["recurra evaluate {run}", "recurra inspect {run}"])

    def headline(self, data: None, evaluation: Evaluation) -> Headline:
        """The test figure beside chance and those of the problem's literature."""
        figures, problem = self.figures(data), self.config.definition
        meaning = []
        if problem.loss == "squared error":
            error = math.sqrt(evaluation["loss"])
            meaning.append(f"Answers are off by {error:.2g} (root mean square).")
        elif problem.measure == "loss" and "accuracy" in evaluation:
            meaning.append(f"{100 * evaluation['accuracy']:.1f} % of the symbols are recalled.")
        return figures.headline(evaluation[figures.measure], *meaning)

    def _model(self) -> dict[str, str]:
        config = self.config
        extras = {"skip": config.skip, "norm": config.norm, "init": config.init}
        words = [f"{name} {value}" for name, value in extras.items() if value not in (None, "none")]
        words += ["orthogonal recurrence"] if config.orthogonal else []
        layers = ", ".join([f"{config.layers} of {config.hidden} hidden units", *words])
        return {"cell": config.cell, "layers": layers}

    def figures(self, data: None) -> Figures:
        """The problem's measure, chance and published figures."""
        config, problem = self.config, self.config.definition
        chance = problem.chance(config.length)
        accuracy = problem.measure == "accuracy"
        return Figures(
            title=f"{config.problem}, T = {config.length}",
            quality=f"test {problem.measure}",
            measure=problem.measure,
            chance=chance,
            loss=f"loss ({problem.loss})",
            chance_loss=math.log(problem.outputs) if accuracy else chance,
            higher_is_better=accuracy,
            published=problem.published.get(config.length, ()),
        )


TASK = LongRangeTask


class LongRange(Estimator[LongRangeConfig, nn.Module]):
    """A model of a long-range problem.

    Any field of `LongRangeConfig` may be given by name. `fit` trains it, `load` brings one back.

    Raises:
        ConfigError: a setting is unknown, or its value is not allowed.

    Example:
        >>> model = LongRange(length=10, hidden=4, max_steps=2, test_sequences=20)
        >>> model.fit().evaluate()["loss"] > 0
        True
    """

    task: ClassVar[type[Task[Any, Any, Any]]] = LongRangeTask

    @options_of(LongRangeConfig)
    def __init__(self, config: LongRangeConfig) -> None:
        super().__init__(config)


def _numbers(measured: SequenceScore) -> dict[str, float]:
    return {name: value for name, value in measured._asdict().items() if value is not None}
