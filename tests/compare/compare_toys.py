"""Comparisons small enough for tests, and outcomes as trainings leave them."""

from recurra.compare.comparison import comparison_from
from recurra.compare.findings import Findings
from recurra.compare.outcomes import Outcome, Reach, results_of
from recurra.compare.trials import Contest, plan

TINY = {
    "problem": "adding",
    "length": 8,
    "cells": ["rnn", "gru"],
    "hidden": 3,
    "steps": 2,
    "seeds": 2,
    "batch_size": 2,
    "validation_sequences": 3,
    "test_sequences": 3,
}


def tiny(**settings):
    return comparison_from({**TINY, **settings})


def outcome(trial, loss=0.1, diverged=None, **more):
    """What a training of 2 steps might have come to; a loss that grows with the seed."""
    loss *= 1 + trial.seed
    fields = {
        "name": trial.name,
        "key": trial.key(),
        "steps": 2,
        "seconds": 60.0,
        "steps_per_second": 2.0 + trial.seed,
        "bytes": 2**20 * (5 + trial.seed),
        "clipped_share": 0.0,
        "best_step": 2,
        "test": {} if diverged else {"loss": loss, "accuracy": 0.5},
        "horizon": None if diverged else Reach(7, False, (1.0, 0.5), 7),
        "horizon_at_start": Reach(3 + trial.seed, True, (1.0, 0.001), 3 + trial.seed),
        "diverged": diverged,
        "curve": [(1, 0.2), (2, loss)],
    }
    return Outcome(**{**fields, **more})


def findings(comparison, bad=(), missing=()):
    """All outcomes of a comparison, some of them diverged, but for those missing."""
    entries = plan(comparison)
    trials = [t for e in entries for t in e.trials if t.name not in missing]
    found = {t.name: outcome(t, diverged="At step 2" if t.name in bad else None) for t in trials}
    facts = Contest(comparison.task).facts(entries[0].trials[0].settings)
    return Findings(comparison, facts, results_of(entries, found))
