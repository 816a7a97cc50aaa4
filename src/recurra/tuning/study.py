"""The study of a search: which settings come next, what they came to, and what matters.

The one file that imports optuna, lazily. A trial is taken by the lock on its folder, which no
process outlives: one that is under way and isn't locked was interrupted, and is resumed first.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import math
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra.errors import MissingExtra, RunError
from recurra.runs.run_lock import RunLock
from recurra.tuning.search_space import NumberRange
from recurra.tuning.settings_search import JOURNAL, SettingsSearch, alone, trial_folder
from recurra.tuning.trial_record import State, TrialRecord, best_of

__all__ = ["SHARES", "Study", "Taken", "require_optuna"]

SHARES = 20
"""Parts of a trial's budget after each of which it is compared with the others."""

_COMPARED_AFTER, _WARM_UP = 5, SHARES // 5
"""Complete trials, and parts of the budget, before any trial is ended early."""


def require_optuna() -> Any:
    """optuna; MissingExtra where it is absent."""
    if importlib.util.find_spec("optuna") is None:
        raise MissingExtra("optuna", "tune", "A search for settings")
    package = importlib.import_module("optuna")
    package.logging.set_verbosity(package.logging.WARNING)
    return package


@dataclass(frozen=True)
class Taken:
    """A trial that this process has taken: its number, and all of its settings."""

    number: int
    settings: dict[str, Any]
    chosen: dict[str, Any]
    trial: Any

    def report(self, share: int, value: float) -> None:
        """Keep the best value so far after so many parts of the budget."""
        if share not in self.trial.study.trials[self.number].intermediate_values:
            self.trial.report(value, share)

    def is_bad(self) -> bool:
        """Whether it is worse than the median of the others at the same share of the budget."""
        return bool(self.trial.should_prune())


class Study:
    """The trials of a search in a directory, shared by all processes that work on it.

    `higher`: higher values are better.
    """

    def __init__(self, folder: Path, search: SettingsSearch, *, higher: bool) -> None:
        self.folder: Path = folder
        self.search: SettingsSearch = search
        self.higher: bool = higher
        self._optuna = require_optuna()
        with self.alone(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the journal is marked as experimental
            self._study = self._opened()

    def _opened(self) -> Any:
        optuna = self._optuna
        journal = importlib.import_module("optuna.storages.journal")
        path = self.folder / JOURNAL
        with _locked(journal.JournalFileSymlinkLock(str(path))):
            _mend(path)
        backend = journal.JournalFileBackend(str(path))
        pruner = optuna.pruners.MedianPruner(_COMPARED_AFTER, _WARM_UP)
        return optuna.create_study(
            storage=optuna.storages.JournalStorage(backend),
            study_name="search",
            load_if_exists=True,
            direction="maximize" if self.higher else "minimize",
            pruner=pruner if self.search.prune else optuna.pruners.NopPruner(),
        )

    @contextlib.contextmanager
    def taken(self, trials: int) -> Iterator[Taken | None]:
        """Take an interrupted trial or the next one, until there are so many; None: there are.

        What the trial comes to is recorded by `tell`; one that was interrupted is taken again.
        """
        with contextlib.ExitStack() as stack:
            with self.alone():
                taken = self._take(trials, stack)
            yield taken

    def tell(
        self, trial: Any, state: State, value: float | None = None, **facts: float | str
    ) -> None:
        """Record what a trial came to: its state, its value if it is complete, and further facts.

        Runs of all trials but the best are deleted.
        """
        states = {"complete": "COMPLETE", "failed": "FAIL"}
        with self.alone():
            for name, fact in {**facts, "state": state}.items():
                trial.set_user_attr(name, fact)
            # A sampler learns nothing of failures; that others are bad it does learn.
            kind = self._optuna.trial.TrialState[states.get(state, "PRUNED")]
            self._study.tell(trial.number, value, state=kind)
            self._keep_best()

    def fail(self, number: int, error: str) -> None:
        """Record that the process of a trial was killed."""
        with contextlib.ExitStack() as stack:
            running = self._study.trials[number].state.name == "RUNNING"
            if running and self._lock(number, stack):
                self.tell(self._trial(number), "failed", error=error)

    def records(self) -> list[TrialRecord]:
        """Every trial so far."""
        return [_record(trial) for trial in self._known()]

    def _known(self) -> list[Any]:
        """optuna's trials, but for one that waits to be taken."""
        return [trial for trial in self._study.trials if trial.state.name != "WAITING"]

    @property
    def best(self) -> TrialRecord | None:
        """The trial with the best value."""
        return best_of(self.records(), higher=self.higher)

    def importance(self) -> dict[str, float]:
        """The share of each setting in whether a trial is among the best (PED-ANOVA, Watanabe et
        al. 2023); empty where too few trials are complete.
        """
        complete = [record for record in self.records() if record.state == "complete"]
        if len(complete) < 2 * _COMPARED_AFTER or len({r.value for r in complete}) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importance = self._optuna.importance
            evaluator = importance.PedAnovaImportanceEvaluator()  # needs no further package
            found = importance.get_param_importances(self._study, evaluator=evaluator)
        return {name: float(share) for name, share in found.items() if math.isfinite(share)}

    def _take(self, trials: int, stack: contextlib.ExitStack) -> Taken | None:
        known = self._known()
        for trial in known:
            if trial.state.name == "RUNNING" and self._lock(trial.number, stack):
                return self._settings_of(self._trial(trial.number))
        if len(known) >= trials:
            return None
        if not known and self.search.defaults:
            self._study.enqueue_trial(self.search.defaults, skip_if_exists=True)
        self._study.sampler = self._sampler(self.search.seed + len(known))
        asked = self._study.ask()
        self._lock(asked.number, stack)
        return self._settings_of(asked)

    def _sampler(self, seed: int) -> Any:
        """Draws the next trial apart from those that other processes have under way."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of optuna 4: it may change
            return self._optuna.samplers.TPESampler(seed=seed, constant_liar=True)

    def _lock(self, number: int, stack: contextlib.ExitStack) -> bool:
        folder = trial_folder(self.folder, number)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            stack.enter_context(RunLock(folder))
        except RunError:
            return False
        return True

    def _settings_of(self, trial: Any) -> Taken:
        """The settings of a trial, drawn where they aren't yet."""
        chosen = {}
        for name, values in self.search.ranges.items():
            if not isinstance(values, NumberRange):
                chosen[name] = trial.suggest_categorical(name, values.values)
                continue
            whole = isinstance(values.low, int) and isinstance(values.high, int)
            suggest = trial.suggest_int if whole else trial.suggest_float
            how = {} if values.step is None else {"step": values.step}
            chosen[name] = suggest(name, values.low, values.high, log=values.log, **how)
        settings = {**self.search.settings, **chosen}
        return Taken(trial.number, settings, chosen, trial)

    def _trial(self, number: int) -> Any:
        return self._optuna.trial.Trial(self._study, self._study.trials[number]._trial_id)

    def _keep_best(self) -> None:
        """Delete the folders of trials that have ended, but for that of the best."""
        best = self.best
        for record in self.records():
            ended = record.state != "running"
            if ended and (best is None or record.number != best.number):
                shutil.rmtree(trial_folder(self.folder, record.number), ignore_errors=True)

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Wait until no other process chooses or records a trial."""
        return alone(self.folder)


@contextlib.contextmanager
def _locked(lock: Any) -> Iterator[None]:
    """Hold optuna's lock of the journal, which those that are training write reports to."""
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _mend(journal: Path) -> None:
    """Cut off a last line that a killed process left unfinished."""
    if not journal.exists():
        return
    data = journal.read_bytes()
    if data and not data.endswith(b"\n"):
        with journal.open("r+b") as file:
            file.truncate(data.rfind(b"\n") + 1)


def _record(trial: Any) -> TrialRecord:
    facts = trial.user_attrs
    running = trial.state.name == "RUNNING"
    state: State = "running" if running else facts.get("state", "failed")
    return TrialRecord(
        number=trial.number,
        state=state,
        settings=dict(trial.params),
        value=trial.value if state == "complete" else None,
        spread=facts.get("spread"),
        loss=facts.get("loss"),
        steps=facts.get("steps", 0),
        minutes=facts.get("minutes", 0.0),
        error=facts.get("error", ""),
        curve=dict(sorted(trial.intermediate_values.items())),
    )
