"""One training of a comparison, as the job of a process of its own."""

import json
import statistics
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recurra.compare.outcomes import Outcome, Reach
from recurra.compare.trials import Contest, Trained, Trial, Weights
from recurra.errors import InsightError, TrainingError
from recurra.files import write_atomic
from recurra.processes import STOPPED, peak_memory, report_progress, reset_peak_memory
from recurra.training import Run
from recurra.training.relayed_progress import RelayedProgress

__all__ = ["TrialProgress", "outcome_of", "run_trial"]


def run_trial(trial: Mapping[str, Any], run: str, outcome: str) -> None:
    """Train into the directory `run`, and write the file `outcome`; exit where interrupted."""
    found = outcome_of(Trial(**trial), Path(run), TrialProgress(report_progress))
    if found is None:
        sys.exit(STOPPED)
    write_atomic(Path(outcome), json.dumps(asdict(found), indent=2).encode())


class TrialProgress(RelayedProgress):
    """Passes on progress; `bytes` is the process's highest memory when training stopped."""

    bytes: int = 0

    def stop(self) -> None:
        """Measure the memory, before anything is drawn or tested."""
        self.bytes = peak_memory()


def outcome_of(trial: Trial, folder: Path, progress: TrialProgress) -> Outcome | None:
    """Train into `folder`, resuming the run that is there; None where it was interrupted.

    A loss that stops being finite is an outcome, not an error.
    """
    Contest(trial.task).warm_up(trial.settings)
    before = reset_peak_memory()
    resume = not Run.has_room(folder)
    try:
        trained = Contest(trial.task).train(
            trial.settings,
            folder,
            progress,
            resume=resume,
            tests=not trial.is_search,
            tested=trial.tested,
        )
    except TrainingError as error:
        if error.__cause__ is not None:  # a full disk, say
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
    """The horizon of a model; None where it has none, for a loss that is not finite, say."""
    try:
        found = Contest(trial.task).flow(trial.settings, weights)
    except InsightError:
        return None
    horizon = found.horizon
    return Reach(horizon.steps, horizon.reached, tuple(found.median.tolist()), found.stride)


def _curve(lines: list[dict[str, Any]]) -> list[tuple[int, float]]:
    return [(line["step"], line["validation"]["loss"]) for line in lines if "validation" in line]
