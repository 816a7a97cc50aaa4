"""One training in its own process, `python -m recurra.compare.child ORDER`, told in JSON lines."""

import json
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from recurra import errors
from recurra.compare.contests import Contest, Trained, Weights
from recurra.compare.memory import peak_bytes, rebased_bytes
from recurra.compare.plan import Trial
from recurra.compare.results import Outcome, Reach
from recurra.errors import InsightError, RecurraError, TrainingError
from recurra.files import write_atomic
from recurra.training import Run

__all__ = ["MISTAKE", "STOPPED", "Lines", "carry_out"]

MISTAKE, STOPPED = 2, 130
"""Exit codes: an error that was told, and an interruption with all saved."""

_BETWEEN_LINES = 0.25  # seconds


class Lines:
    """Tells how far a training is as lines of JSON, a few a second.

    `step` is the last, `bytes` the highest memory in use when training stopped.
    """

    def __init__(self, out: TextIO) -> None:
        self._out, self._told = out, 0.0
        self.step = self.bytes = 0

    def start(self, total_steps: int, step: int) -> None:
        """Tell where training begins."""
        self.step = step
        self._tell(step=step)

    def update(
        self,
        step: int,
        epoch: int,
        loss: float,
        tokens_per_second: float,
        *,
        validation: float | None = None,
        **more: Any,
    ) -> None:
        """Tell the step and the loss, unless that was done just now."""
        self.step, now = step, time.monotonic()
        if now - self._told >= _BETWEEN_LINES:
            self._told = now
            self._tell(step=step, loss=loss, validation=validation)

    def message(self, text: str) -> None:
        """Nothing that a comparison shows."""

    def stop(self) -> None:
        """Measure before anything is drawn or tested; the process's end tells the rest."""
        self.bytes = peak_bytes()

    def _tell(self, **line: Any) -> None:
        self._out.write(json.dumps(line) + "\n")
        self._out.flush()


def carry_out(trial: Trial, folder: Path, progress: Lines) -> Outcome | None:
    """Train into `folder`, going on with what is there; None where it was interrupted.

    A loss that stops being finite is an outcome, not an error.
    """
    Contest(trial.task).warm_up(trial.settings)
    before = rebased_bytes()
    resume = (folder / "manifest.json").exists()
    try:
        trained = Contest(trial.task).train(trial.settings, folder, resume, progress)
    except TrainingError as error:
        if error.__cause__ is not None:  # the disk, say
            raise
        return _diverged(trial, folder, progress.step, progress.bytes - before, str(error))
    if trained.result.stopped == "interrupted":
        return None
    return _finished(trial, trained, progress.bytes - before)


def _finished(trial: Trial, trained: Trained, most: int) -> Outcome:
    result, run = trained.result, Run.open(trained.result.path)
    rates = [line["steps_per_second"] for line in run.metrics() if "loss" in line]
    return Outcome(
        name=trial.name,
        key=trial.key(),
        steps=result.steps,
        seconds=result.seconds,
        steps_per_second=statistics.median(rates or [0.0]),
        bytes=most,
        clipped_share=result.clipped_share,
        best_step=int(result.best["step"]) if result.best else None,
        test=trained.test,
        horizon=_reach(trial, run.load_model()),
        horizon_at_start=_reach(trial, None),
        diverged=None,
        curve=_curve(run.metrics()),
    )


def _diverged(trial: Trial, folder: Path, steps: int, most: int, how: str) -> Outcome:
    lines = Run.open(folder).metrics()
    trained = [line for line in lines if "loss" in line]
    last: Mapping[str, Any] = trained[-1] if trained else {"step": 0, "seconds": 0.0}
    return Outcome(
        name=trial.name,
        key=trial.key(),
        steps=steps,
        seconds=last["seconds"],
        steps_per_second=last["step"] / last["seconds"] if last["seconds"] else 0.0,
        bytes=most,
        clipped_share=statistics.fmean([line["clipped_share"] for line in trained] or [0.0]),
        best_step=None,
        test={},
        horizon=None,
        horizon_at_start=_reach(trial, None),
        diverged=how,
        curve=_curve(lines),
    )


def _reach(trial: Trial, weights: Weights | None) -> Reach | None:
    """The horizon of a model, None where it has none: of a loss that is not finite, say."""
    try:
        found = Contest(trial.task).flow(trial.settings, weights)
    except InsightError:
        return None
    norms = tuple(found.by_distance[-1].tolist())
    return Reach(found.horizon.steps, found.horizon.reached, norms, found.stride)


def _curve(lines: list[dict[str, Any]]) -> list[tuple[int, float]]:
    return [(line["step"], line["validation"]["loss"]) for line in lines if "validation" in line]


def main() -> None:
    """Carry out the order of the first argument, and leave its outcome as a file."""
    order = json.loads(sys.argv[1])
    trial = Trial(**order["trial"])
    try:
        outcome = carry_out(trial, Path(order["folder"]), Lines(sys.stdout))
    except RecurraError as error:
        kind = type(error).__name__ if hasattr(errors, type(error).__name__) else "RecurraError"
        sys.stdout.write(json.dumps({"error": kind, "text": str(error)}) + "\n")
        sys.exit(MISTAKE)
    if outcome is None:
        sys.exit(STOPPED)
    write_atomic(Path(order["result"]), json.dumps(asdict(outcome), indent=2).encode())


if __name__ == "__main__":
    main()
