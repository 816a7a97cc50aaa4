"""A long-range problem from Python: train, load, test."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import torch

from recurra import __version__
from recurra.errors import ConfigError, RunError
from recurra.tasks.long_range.config import LongRangeConfig, long_range_config
from recurra.tasks.long_range.model import LongRangeNet, Measured, measure, training_loss
from recurra.tasks.long_range.page import card, page
from recurra.tasks.long_range.sequences import held_out, training_windows
from recurra.training import Progress, Run, TrainingResult, fit

__all__ = ["LongRange", "new_model"]

TASK = "long-range"


class LongRange:
    """A model of a long-range problem.

    Any field of `LongRangeConfig` may be given by name: `problem="adding"`, `length=200`,
    `cell="gru"`, `hidden=64`, `max_steps=2000`, ... `fit` trains it, `load` brings one back.

    Raises:
        ConfigError: a setting is unknown, or its value can't be.

    Example:
        >>> import tempfile
        >>> model = LongRange(length=10, hidden=4, max_steps=2, test_sequences=20)
        >>> out = tempfile.mkdtemp()
        >>> model.fit(out=out).steps
        2
        >>> LongRange.load(out).test().loss > 0
        True
    """

    def __init__(self, **settings: Any) -> None:
        self.config: LongRangeConfig = long_range_config(settings)
        self.run: Run | None = None
        self.net: LongRangeNet | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LongRange:
        """The model of a run.

        Raises RunError where the run is missing, damaged or of another task, or where the equations
        of its cell have changed since.
        """
        run = Run.open(path)
        if run.config.get("task") != TASK:
            raise RunError(f"{run.path} is a run of task {run.config.get('task')!r}, not {TASK!r}.")
        model = cls(**run.config["settings"])
        net = new_model(model.config)
        _check_cell(run, net)
        net.load_state_dict(run.load_model())
        model.run, model.net = run, net
        return model

    def fit(
        self,
        *,
        out: str | os.PathLike[str],
        resume: bool = False,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> TrainingResult:
        """Train into the run `out`; afterwards `net` has the weights that validated best.

        Raises:
            ConfigError: the run that is to go on has other settings.
            DataError: the digits are not at hand.
            RunError: `out` holds another run.
            TrainingError: a loss or gradient is not finite, or the disk is full.
        """
        net = new_model(self.config)
        windows = training_windows(self.config)
        validation = list(held_out(self.config, "valid"))
        run = self._continued(out, net) if resume else self._begun(out, net, overwrite)
        self.run, self.net = run, net
        result = fit(
            net,
            windows,
            training_loss,
            config=self.config,
            run=run,
            validate=lambda net: _figures(measure(net, validation)),
            resume=resume,
            progress=progress,
        )
        net.load_state_dict(run.load_model())
        if result.stopped != "interrupted":
            self._describe(run, result)
        return result

    def test(self) -> Measured:
        """Loss and accuracy of the trained model on the test sequences."""
        if self.net is None:
            raise RunError("The model is not trained yet; call fit, or LongRange.load(run).")
        self.net.eval()
        return measure(self.net, held_out(self.config, "test"))

    def _begun(self, out: str | os.PathLike[str], net: LongRangeNet, overwrite: bool) -> Run:
        record = {
            "task": TASK,
            "recurra": __version__,
            "settings": dataclasses.asdict(self.config),
            "cell_digest": net.cell.digest(),
        }
        return Run.create(out, record, overwrite=overwrite)

    def _continued(self, out: str | os.PathLike[str], net: LongRangeNet) -> Run:
        run = Run.open(out)
        known, given = run.config.get("settings"), dataclasses.asdict(self.config)
        if known != given:
            raise ConfigError(
                f"{run.path} was begun with other settings; a run goes on with those it has: give "
                "the same, or another --out."
            )
        _check_cell(run, net)
        return run

    def _describe(self, run: Run, result: TrainingResult) -> None:
        """Test, and write the model card and the report."""
        assert self.net is not None
        found = self.test()
        run.write_text("README.md", card(self.config, self.net.parameter_count(), result, found))
        run.write_text("report.html", page(self.config, run, result, found))


def new_model(config: LongRangeConfig) -> LongRangeNet:
    """The model as its training begins: torch's random numbers are seeded with the run's seed."""
    torch.manual_seed(config.seed)
    return LongRangeNet(config)


def _check_cell(run: Run, net: LongRangeNet) -> None:
    if run.config["cell_digest"] != net.cell.digest():
        raise RunError(
            f"The equations of the cell have changed since {run.path} was trained; restore them, "
            "or train a new run."
        )


def _figures(found: Measured) -> dict[str, float]:
    return {name: value for name, value in found._asdict().items() if value is not None}
