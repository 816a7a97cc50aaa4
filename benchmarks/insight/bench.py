"""How often an inspection names the illness of a network first, and how often it alarms falsely.

    python benchmarks/insight/bench.py [choosing|judged|confirming] [--remedies]

Thirty networks have an illness, thirty are trained to the quality that `cases.py` and `judging.py`
say. Thresholds were chosen on the first sixty ("choosing"); the second sixty were read once
("judged"), and what they showed was mended; the third sixty ("confirming") have the same illnesses
with other seeds and sizes, and were read once after the last change.
With --remedies each ill network is trained again as the remedy has it, for as many steps.
"""

import sys
import warnings
from dataclasses import replace

import cases
import judging
import torch

from recurra.insight import inspect_model


def confirming(part):
    """The same kinds of networks, drawn anew."""
    for case in (*getattr(cases, part)[1::2], *getattr(judging, part)[::2]):
        more = {"steps": round(1.5 * case.steps)} if not case.expected else {}
        yield replace(case, seed=case.seed + 2000, hidden=case.hidden + 8, **more)


def networks(which, part):
    """The networks of a set."""
    if which == "confirming":
        return tuple(confirming(part))
    return getattr(cases if which == "choosing" else judging, part)


def trained(case):
    """The network, lines of its training, and its loss by that of a constant answer."""
    net, chance = case.build(), case.chance()
    if not case.steps:
        return net, [], 1.0
    good = None if case.expected else 0.9 * case.quality * chance
    lines, loss = case.train(net, good=good)
    return net, lines, loss / chance


def remedied(case):
    """The losses, by a constant answer's, of the ill network and of the remedied one."""
    other = case.remedied(case)
    steps = max(case.steps, other.steps, 60)
    return tuple(trained(replace(each, steps=steps))[2] for each in (case, other))


def main(which, with_remedies):
    """Print a line for each network, and the sums."""
    right, alarms, helps = 0, 0, 0
    for part in ("ILL", "HEALTHY"):
        for case in networks(which, part):
            net, lines, share = trained(case)
            inputs, target = case.batch()
            found = inspect_model(
                net.eval(),
                inputs,
                loss=lambda output, case=case, target=target: case.loss(output, target),
                metrics=lines,
                window=case.window,
            )
            first = found.verdicts[0]
            alarm = first.severity in ("warning", "severe")
            named = alarm and first.name in case.expected
            right, alarms = right + named, alarms + (alarm and not case.expected)
            line = f"{case.name:34} {share:9.3g} of chance  {first.severity:8}{first.name}"
            if case.expected and not named:
                line += f"   (is: {' or '.join(case.expected)})"
            if with_remedies and case.expected:
                before, after = remedied(case)
                helps += after < 0.9 * before
                line += f"   remedied {before:.3g} -> {after:.3g}"
            print(line, flush=True)
    print(f"named first: {right} of 30; alarms on healthy networks: {alarms} of 30", end="")
    print(f"; remedies that help: {helps}" if with_remedies else "")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    names = [name for name in sys.argv[1:] if not name.startswith("-")]
    main(names[0] if names else "choosing", "--remedies" in sys.argv)
