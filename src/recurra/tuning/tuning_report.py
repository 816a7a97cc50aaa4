"""The results of a search: a table of trials, the best settings, the page."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.files import write_atomic
from recurra.reports import Headline, Mark, Section, TextTable, report
from recurra.tuning.search_space import LENGTHS
from recurra.tuning.study import SHARES
from recurra.tuning.trial_record import TrialRecord

if TYPE_CHECKING:
    from recurra.tuning.tuning_run import Tuned

__all__ = ["figure", "final_command", "importance_table", "trials_table", "write_results"]

_SHOWN = 15


def write_results(tuned: Tuned) -> None:
    """Replace the table of trials, the best settings and the page by those of the trials so far."""
    folder = tuned.folder
    write_atomic(folder / "trials.csv", _csv(tuned).encode())
    write_atomic(folder / "report.html", _page(tuned).encode())
    if tuned.best is not None:
        write_atomic(folder / "best.toml", _toml(tuned, tuned.best).encode())


def final_command(tuned: Tuned) -> str:
    """The command that trains with the best settings."""
    words = ["recurra", "train", tuned.search.task, *tuned.search.data]
    return f"{shlex.join([*words, '--config', str(tuned.folder / 'best.toml')])} --out RUN"


def figure(value: float | None, tuned: Tuned) -> str:
    """A validation as text."""
    if value is None:
        return ""
    return f"{100 * value:.1f} %" if tuned.metric.name == "accuracy" else f"{value:.4g}"


def shown_setting(value: object) -> str:
    """A setting as text."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def trials_table(tuned: Tuned, count: int = _SHOWN, *, lengths: bool = True) -> TextTable:
    """The best trials, then those that ended early and the others, a row each.

    `lengths`: with their steps and minutes.
    """
    names = [*tuned.search.ranges]
    ranked = _ranked(tuned)
    rows = [
        [
            str(record.number),
            figure(record.value, tuned) or record.state,
            *(shown_setting(record.settings.get(name, "")) for name in names),
            *([f"{record.steps:,}", f"{record.minutes:.1f}"] if lengths else []),
        ]
        for record in ranked[:count]
    ]
    further = len(ranked) - len(rows)
    notes = [f"{further} further trials: trials.csv"] if further > 0 else []
    if tuned.best is not None and tuned.best.spread:
        notes.append(
            f"the standard error of the best is {figure(tuned.best.spread, tuned)}: trials nearer "
            "to it than that may differ by chance; of equal ones the lower loss decides"
        )
    columns = ["trial", tuned.metric.name, *names, *(["steps", "minutes"] if lengths else [])]
    return TextTable(columns, rows, notes=notes)


def importance_table(tuned: Tuned) -> TextTable | None:
    """The share of each setting in which trials are among the best; None where it is not known."""
    rows = [[name, f"{100 * share:.0f} %"] for name, share in tuned.importance.items()]
    note = "how much each setting decides whether a trial is among the best tenth (PED-ANOVA)"
    return TextTable(("setting", "importance"), rows, notes=[note]) if rows else None


def _ranked(tuned: Tuned) -> list[TrialRecord]:
    sign = 1 if tuned.metric.lower_is_better else -1
    order = ("complete", "running", "pruned", "diverged", "failed")

    def key(record: TrialRecord) -> tuple[int, float, float, int]:
        value = sign * (record.value or 0.0)
        return order.index(record.state), value, record.loss or 0.0, record.number

    return sorted(tuned.trials, key=key)


def _csv(tuned: Tuned) -> str:
    names, text = [*tuned.search.ranges], io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", tuned.metric.name, *names, "steps", "minutes", "error"])
    for record in tuned.trials:
        chosen = [record.settings.get(name, "") for name in names]
        value = "" if record.value is None else repr(record.value)
        facts = [record.steps, f"{record.minutes:.3f}", record.error]
        writer.writerow([record.number, record.state, value, *chosen, *facts])
    return text.getvalue()


def _toml(tuned: Tuned, best: TrialRecord) -> str:
    ended = sum(record.state != "running" for record in tuned.trials)
    budget = {n: v for n, v in tuned.search.settings.items() if n in LENGTHS}
    lines = [
        f"# The best of {ended} trials of {tuned.search.task}, trial {best.number}: validation "
        f"{tuned.metric.name} {figure(best.value, tuned)}",
        f"# {final_command(tuned)}",
        *_assigned(tuned.settings),
    ]
    if budget:
        lines += ["# The budget of a trial; without it a training has the task's own length:"]
        lines += [f"# {line}" for line in _assigned(budget)]
    return "\n".join(lines) + "\n"


def _assigned(settings: Mapping[str, Any]) -> list[str]:
    """Settings as lines of TOML, whose texts, numbers and lists are those of JSON."""
    return [
        f"{name} = {json.dumps('none' if value is None else value, ensure_ascii=False)}"
        for name, value in settings.items()
    ]


def _page(tuned: Tuned) -> str:
    title = f"Settings of {tuned.search.task}: {len(tuned.trials)} trials"
    importance = importance_table(tuned)
    sections = [
        *_headline(tuned),
        Section("Trials", trials_table(tuned, count=len(tuned.trials))),
        *([] if importance is None else [Section("Importance", importance)]),
        *_errors(tuned),
        Section("Searched", {name: str(each) for name, each in tuned.search.ranges.items()}),
        Section("The same in all trials", _shared(tuned)),
    ]
    return report(title, sections)


def _headline(tuned: Tuned) -> Sequence[Section]:
    best, first = tuned.best, tuned.trials[0] if tuned.trials else None
    if best is None or best.value is None:
        return [Section("", ["No trial is complete yet."])]
    others = []
    if first is not None and first.value is not None and first.number != best.number:
        others = [Mark("the first trial", first.value, text=figure(first.value, tuned))]
    own_best = best.number == 0 and tuned.search.defaults.keys() == tuned.search.ranges.keys()
    own = Mark(f"trial {best.number}", best.value, text=figure(best.value, tuned))
    meaning = [
        *(["No trial is better than the first, with the task's own settings."] if own_best else []),
        "The best validation of many is a little too good: measure the model on data of its own.",
        f"Train with these settings: {final_command(tuned)}",
    ]
    higher = not tuned.metric.lower_is_better
    named = f"validation {tuned.metric.name}"
    chosen = {name: shown_setting(value) for name, value in best.settings.items()}
    return [
        Section("", Headline(named, own, others, higher, meaning=meaning)),
        Section(f"Best settings: trial {best.number}", chosen),
    ]


def _errors(tuned: Tuned) -> list[Section]:
    found = {f"trial {r.number}": r.error for r in tuned.trials if r.error}
    return [Section("Errors", found)] if found else []


def _shared(tuned: Tuned) -> dict[str, object]:
    search = tuned.search
    data = {"data": ", ".join(Path(path).name for path in search.data)} if search.data else {}
    pruned = (
        f"after each of {SHARES} parts of its budget, from the fifth of it on, where it is worse "
        "than the median of the complete trials, of which there are five at least"
        if search.prune
        else "never"
    )
    return {**data, **search.settings, "seed": search.seed, "a trial is ended early": pruned}
