"""Runs of kernels with options by name."""

from recurra.compile import Sequences


def run_cell(runner, x, states, params, **options):
    """All steps of x (T, B, I), or packed (N, I): outputs, and states as the options have them."""
    lengths = options.get("lengths")
    steps = int(lengths[0]) if options.get("is_packed") else len(x)
    return runner.sequence(x, states, params, Sequences(steps, **options))
