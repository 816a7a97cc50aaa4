"""The long-range problems as a contest."""

import dataclasses
import math
from pathlib import Path

import torch
from torch import Tensor

from recurra.compare.contests import Facts, Settings, Trained, Weights, farthest
from recurra.errors import CellError
from recurra.insight.flow import StateFlow, gradient_flow
from recurra.tasks.long_range import LongRange
from recurra.tasks.long_range.config import long_range_config
from recurra.tasks.long_range.model import LongRangeNet, loss_of, training_loss
from recurra.tasks.long_range.sequences import held_out, training_windows
from recurra.tasks.long_range.task import new_model
from recurra.training import Progress
from recurra.training.optim import make_optimizer

__all__ = ["LongRangeContest"]


class LongRangeContest:
    """Quality is the test loss or accuracy, as the problem has it."""

    def facts(self, settings: Settings) -> Facts:
        """What the figures mean."""
        config = long_range_config(settings)
        task, by_chance = config.task, config.task.chance(config.length)
        accuracy = task.measure == "accuracy"
        return Facts(
            title=f"{config.problem}, T = {config.length}",
            quality=f"test {task.measure}",
            measure=task.measure,
            chance=by_chance,
            loss=f"loss ({task.loss})",
            chance_loss=math.log(task.outputs) if accuracy else by_chance,
            published=task.published.get(config.length, ()),
        )

    def count(self, settings: Settings) -> int | None:
        """Learnt numbers of the model, None for a hidden size that the cell can't have."""
        # How weights start, and what keeps them, adds none.
        bare = {"init": "none", "orthogonal": False}
        config = long_range_config({**settings, **bare})
        try:
            with torch.device("meta"):
                return LongRangeNet(config).parameter_count()
        except CellError:
            return None

    def check(self, settings: Settings) -> str:
        """Raise what building the model would; the digest of its cell's equations."""
        with torch.random.fork_rng(devices=[]):
            return LongRangeNet(long_range_config(settings)).cell.digest()

    def warm_up(self, settings: Settings) -> None:
        """One training step of one sequence, which loads libraries and compiles kernels."""
        config = dataclasses.replace(long_range_config(settings), batch_size=1)
        net, batch = new_model(config), training_windows(config).window(0, 0)
        optimizer = make_optimizer(net, config)
        torch.autograd.backward(training_loss(net, batch, None)[0])
        optimizer.step()

    def train(self, settings: Settings, out: Path, resume: bool, progress: Progress) -> Trained:
        """Train into the run `out`, and test."""
        model = LongRange(**settings)
        result = model.fit(out=out, resume=resume, progress=progress)
        interrupted = result.stopped == "interrupted"
        found = {} if interrupted else model.test()._asdict()
        test = {name: value for name, value in found.items() if value is not None}
        config = model.config
        return Trained(result, test, config.batch_size * config.steps)

    def flow(self, settings: Settings, weights: Weights | None) -> StateFlow:
        """The gradient of the loss: of that of the last step, where all have one."""
        config = long_range_config(settings)
        net = new_model(config)
        if weights is not None:
            net.load_state_dict(weights)
        batch = next(iter(held_out(config, "test")))

        def loss(outputs: Tensor) -> Tensor:
            if config.task.at_every_step:
                return loss_of(outputs[-1], batch.targets[-1])
            return loss_of(outputs, batch.targets)

        return farthest(gradient_flow(net, batch.inputs, loss=loss))
