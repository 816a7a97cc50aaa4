"""The training loop: truncated BPTT, validation, checkpoints, and a resume to the same bits."""

import contextlib
import math
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT
from typing import Literal

import torch
from torch import nn

from recurra.config.training_config import Budget, Metric, TrainingConfig
from recurra.errors import ConfigError, DataError, RecurraWarning, TrainingError
from recurra.interrupts import Interrupts
from recurra.runs import ranks
from recurra.runs.run import Run
from recurra.training.alarms import Alarms
from recurra.training.checkpointing import Checkpoints
from recurra.training.gradient_noise import gradient_noise
from recurra.training.loop_state import LoopState, Meter, Recorder, summary_writer
from recurra.training.optim import learning_rate, make_optimizer, trained
from recurra.training.protocols import Loss, Progress, Silent, Validate, Windows
from recurra.training.randomness import evaluating
from recurra.training.step import Stepper, seed_of_rank, set_bptt_clip, sharded, synchronise
from recurra.training.weight_average import WeightAverage

__all__ = ["Stopped", "TrainingResult", "check_settings", "fit"]

Stopped = Literal["finished", "early", "steps", "time", "interrupted"]

_LOSS = Metric()


@dataclass(frozen=True)
class TrainingResult:
    """Outcome of a training; `best` is the best validation with its `step`, empty without one.

    `signal` is the number of the signal that interrupted it, None for any other end; `resumed_at`
    is the step that it was resumed after, 0 for a training from the beginning.
    """

    steps: int
    epochs: int
    best: dict[str, float]
    seconds: float
    clipped_share: float
    stopped: Stopped
    path: Path
    signal: int | None = None
    resumed_at: int = 0


def fit(
    model: nn.Module,
    windows: Windows,
    loss: Loss,
    *,
    config: TrainingConfig,
    run: Run,
    validate: Validate | None = None,
    metric: Metric = _LOSS,
    resume: bool = False,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train `model` and leave everything in `run`; the package's docstring has an example.

    `loss(model, batch, state)` gives the mean loss in nats, the number of tokens it is the mean of,
    and the state for the next window. That state is detached there (truncated BPTT) and None at the
    start of each epoch. `validate(model)` gives numbers by name, and model.safetensors holds the
    weights that were best by one of them: `metric`, unless `config.best` names another. Without a
    validation it holds the last weights, as `model` itself always does. With `config.average_steps`
    a running mean of the weights is validated and kept in their place.

    torch's random numbers are seeded with `config.seed`. `resume` starts from the newest checkpoint
    and ends with the same bits as if training had never stopped; without a checkpoint it starts
    from the beginning. The first Ctrl-C or SIGTERM ends after the step under way, saved; the second
    at once. Under torchrun every process calls this, and `windows` has `shard(rank, world)`.

    Warns (`RecurraWarning`) of a resumed training whose learning rate jumps, since its schedule has
    another length now, and of one that ended within its warm-up.

    Raises `TrainingError` for a loss or gradient that isn't finite (naming the first tensor that
    went bad) and for a full disk, `RunError` for a damaged checkpoint or a run that another process
    trains, `ConfigError` for options that contradict one another, the model or those that the run
    was started with, `DataError` where `windows` is
    empty or not the checkpoint's.
    """
    windows = sharded(windows)
    budget = check_settings(model, windows, config, validate)
    metric = config.best_metric or metric
    optimizer = make_optimizer(model, config)
    model.train()
    mean = None
    if config.average_steps is not None:
        mean = WeightAverage(model, config.average_steps)
    loop = _Loop(
        Stepper(model, tuple(trained(model).values()), windows, loss, optimizer, config),
        Checkpoints(run, model, optimizer, config, len(windows), metric, mean),
        run,
        validate,
        metric,
        progress if progress is not None and ranks.rank() == 0 else Silent(),
        mean,
    )
    with run.locked(), loop.interrupts:
        loop.begin(resume, budget)
        stopped = loop.run_to_end()
        ranks.wait()  # for what rank 0 has written
    return loop.result(stopped)


def check_settings(
    model: nn.Module, windows: Windows, config: TrainingConfig, validate: Validate | None
) -> Budget:
    """Raise what `fit` would for model, data and settings that contradict one another.

    The result is the end of the training. The model's layers get `clip_bptt`.
    """
    if len(windows) == 0:
        raise DataError("The data has no window to train on; it needs at least one.")
    for name in ("patience", "best"):
        if validate is None and getattr(config, name) is not None:
            raise ConfigError(
                f"{name} = {getattr(config, name)} needs a validation; give data to validate on, "
                f"or leave {name} out."
            )
    if config.tensorboard:
        summary_writer()
    if config.clip_bptt is not None:
        set_bptt_clip(model, config.clip_bptt)
    return config.budget_of(len(windows))


def _check_validation(numbers: dict[str, float], metric: Metric, step: int) -> None:
    if metric.name not in numbers:
        raise ConfigError(
            f"The best weights are to be chosen by {str(metric)!r}, and the validation gives "
            f"{', '.join(numbers) or 'nothing'}; name one of these: best = 'NAME:min' or "
            "'NAME:max'."
        )
    if not all(map(math.isfinite, numbers.values())):
        raise TrainingError(
            f"The validation after step {step} gave {numbers}, and every number must be finite: "
            "lower learning_rate or clip_norm, or look at the validation data."
        )


def _warn(text: str) -> None:
    if ranks.rank() == 0:
        warnings.warn(text, RecurraWarning, stacklevel=2)


def _where(state: LoopState) -> str:
    if state.step == 0:
        return "No step is saved yet: training starts from the beginning."
    return f"Resuming after step {state.step}."


class _Loop:
    """One call of `fit`, from its beginning to its result."""

    def __init__(
        self,
        stepper: Stepper,
        checkpoints: Checkpoints,
        run: Run,
        validate: Validate | None,
        metric: Metric,
        progress: Progress,
        mean: WeightAverage | None,
    ) -> None:
        self.stepper, self.checkpoints, self.run = stepper, checkpoints, run
        self.validate, self.metric, self.progress = validate, metric, progress
        self.model, self.config = stepper.model, stepper.config
        self.mean = mean
        self.interrupts = Interrupts()
        self.signal: int | None = None  # that any rank has received
        self.state = LoopState()
        self.recorder = Recorder(run)
        self.alarms = Alarms(_warn, self.config.warmup_steps)

    def begin(self, resume: bool, budget: Budget) -> None:
        """Start from the beginning, or resume from the newest checkpoint."""
        torch.manual_seed(seed_of_rank(self.config.seed))
        synchronise(self.model, buffers_alone=False)
        saved = self.checkpoints.begin(resume)
        self.state = saved or LoopState(first_budget=budget, budget=budget)
        self.total_steps, self.resumed_at = budget.steps, self.state.step
        if resume:
            self.progress.message(_where(self.state))
        if saved is not None:
            self._schedule_over(budget)
        # Before the first step, too: a killed run resumes from the same initial weights.
        self.checkpoints.save(self.state)
        if self.config.tensorboard and ranks.rank() == 0:
            folder = str(self.run.path / "tensorboard")
            writer = summary_writer()(folder, purge_step=self.state.step + 1)
            self.recorder = Recorder(self.run, writer)
        self.clock = time.monotonic() - self.state.seconds

    def _schedule_over(self, budget: Budget) -> None:
        """Let the schedule of a resumed training run over its present length, or the first one."""
        state, keeps = self.state, self.config.resume_schedule == "keep"
        before, state.budget = state.budget, state.first_budget if keeps else budget
        old, new = (
            learning_rate(self.config, over, state.step, state.seconds)
            for over in (before, state.budget)
        )
        if old != new:
            _warn(
                f"The length of the training has changed, and with it the cosine: after step "
                f"{state.step} the learning rate is {new:.3g}, where it was {old:.3g}. "
                "resume_schedule = 'keep' (--resume-schedule keep) trains on as the first length "
                "had it, 'stretch' as the present one has it."
            )

    def run_to_end(self) -> Stopped:
        """Train until there is a reason to stop, a signal included; all is saved then."""
        self.progress.start(self.total_steps, self.state.step)
        try:
            return self._loop()
        except KeyboardInterrupt:
            if self.interrupts.received > 1:
                raise
            self.checkpoints.save(self.state)
            self._hear()
            return "interrupted"
        finally:
            self.progress.stop()
            self.recorder.close()

    def _loop(self) -> Stopped:
        self._validate_if_due()
        while (stopped := self._reason_to_stop()) is None:
            if self.checkpoints.due(self.state):
                self.checkpoints.save(self.state)
            self._step()
            self._log_if_due()
            self._validate_if_due()
        self.checkpoints.save(self.state)
        # What comes after that checkpoint is undone on resuming, so that training for longer is
        # the same as never having stopped.
        if stopped != "interrupted":
            self._finish()
            self._warn_of_warmup()
        return stopped

    def _reason_to_stop(self) -> Stopped | None:
        state, config = self.state, self.config
        self._hear()
        if self.signal is not None:
            return "interrupted"
        if config.patience is not None and state.since_best >= config.patience:
            return "early"
        if config.epochs is not None and state.epoch >= config.epochs:
            return "finished"
        if config.max_steps is not None and state.step >= config.max_steps:
            return "steps"
        if config.max_minutes is not None and state.seconds >= 60 * config.max_minutes:
            return "time"
        return None

    def _hear(self) -> None:
        """Tell all ranks of a signal that one of them has received, and of rank 0's time."""
        every = ranks.numbers([self.interrupts.signal or 0, self.state.seconds])
        self.signal = int(max(number for number, _ in every)) or None
        self.state.seconds = every[0][1]

    def _step(self) -> None:
        state = self.state
        stepped = self.stepper.step(state)
        for line in stepped.flow:
            self.run.log_gradients(line)
        state.add(stepped, len(self.stepper.windows))
        self.alarms.after(state.step, stepped)
        if self.mean is not None:
            self.mean.update(state.step)
        self._read_clock()
        self.progress.update(
            state.step,
            state.epochs_begun,
            stepped.loss,
            state.meter.tokens_per_second,
            validation=state.last_validation,
            metric=self.metric.name,
            seconds=state.seconds,
        )

    def _read_clock(self) -> None:
        self.state.seconds = time.monotonic() - self.clock

    def _log_if_due(self) -> None:
        if self.state.step % self.config.log_every == 0:
            self._log()

    def _log(self) -> None:
        state = self.state
        line = {"step": state.step, "epoch": state.epochs_begun} | state.meter.line()
        noise = gradient_noise(self.stepper.optimizer, state.gradient_squares)
        if noise is not None:
            line["gradient_noise"] = round(noise, 4)
        self.recorder.write(line | {"seconds": round(state.seconds, 3)})
        state.meter = Meter()

    def _validate_if_due(self) -> None:
        state, every = self.state, self.config.validate_every
        due = state.index == 0 if every is None else state.step % every == 0
        # After an interrupted validation the loop resumes at a step that is still owed one.
        if due and state.validated != state.step:
            self._validate()

    def _validate(self) -> None:
        if self.validate is None:
            return
        with contextlib.nullcontext() if self.mean is None else self.mean.shown():
            self._judge(self.validate)
        self._read_clock()  # a checkpoint may be due by now

    def _judge(self, validate: Validate) -> None:
        """Validate the weights that the model has now, and keep them if they are the best."""
        state = self.state

        def measured() -> dict[str, float]:
            with evaluating(self.model), self.interrupts.at_once():
                return {name: float(value) for name, value in validate(self.model).items()}

        numbers = ranks.on_first(measured)
        _check_validation(numbers, self.metric, state.step)
        line = {"step": state.step, "epoch": state.epochs_begun, "validation": numbers}
        self.recorder.write(line)
        if state.judge(numbers, self.metric):
            self.checkpoints.save_best(state.step)

    def _finish(self) -> None:
        """Write the last line and validate, where neither was due at the last step."""
        if self.state.meter.steps:
            self._log()
        if self.state.validated != self.state.step:
            self._validate()
        self.run.sync_lines()

    def _warn_of_warmup(self) -> None:
        step, warmup = self.state.step, self.config.warmup_steps
        if step < warmup:
            _warn(
                f"The training ended after step {step}, within its warm-up of {warmup}: the "
                "learning rate never reached its highest; lower warmup_steps, or train for longer."
            )

    def result(self, stopped: Stopped) -> TrainingResult:
        """Outcome of the training."""
        state = self.state
        return TrainingResult(
            steps=state.step,
            epochs=state.epoch,
            best=state.best,
            seconds=state.seconds,
            clipped_share=state.clipped / max(1, state.step),
            stopped=stopped,
            path=self.run.path,
            signal=(self.signal or SIGINT) if stopped == "interrupted" else None,
            resumed_at=self.resumed_at,
        )
