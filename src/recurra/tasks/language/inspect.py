"""How gradients flow through a language model over a text, and what it does with each token."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from recurra.data.vocabulary import Vocabulary
from recurra.errors import ConfigError, DataError, RunError
from recurra.files import write_atomic
from recurra.insight import Inspection, inspect_model
from recurra.reports import Section, amended, carried_over, inspection_sections, report
from recurra.tasks.language.model import LanguageNet, States
from recurra.training import Run

__all__ = ["Inspected", "inspect_text", "keep_inspection", "write_inspection"]

_BLOCK = "inspection"


@dataclass(frozen=True, eq=False)
class Inspected:
    """What was found, with the first window of text it was found on.

    `tokens` are those read and `predictions` the likeliest to follow each, as text; `output`
    (T, V) holds their probabilities.
    """

    inspection: Inspection
    tokens: list[str]
    predictions: list[str]
    output: Tensor


def inspect_text(
    net: LanguageNet,
    vocabulary: Vocabulary,
    ids: Tensor,
    metrics: list[dict[str, Any]],
    *,
    rows: int,
    steps: int,
) -> Inspected:
    """Inspect a model on `rows` windows of `steps` tokens, evenly spread over a text (N,).

    The loss is that of the last token's prediction; each window starts from zero states.

    Raises:
        ConfigError: rows or steps are below what an analysis needs.
        DataError: the text is shorter than a window.
    """
    if rows < 1 or steps < 2:
        raise ConfigError(f"rows = {rows}, steps = {steps}; give 1 row or more of 2 steps or more.")
    windows = _windows(ids, rows, steps)
    inputs, targets = windows[:-1], windows[1:]

    def loss(output: tuple[Tensor, States]) -> Tensor:
        logits = output[0]
        losses = functional.cross_entropy(logits.mT, targets, reduction="none")
        return losses.sum(1)

    net.eval()
    found = inspect_model(net, inputs, loss=loss, metrics=metrics)
    with torch.inference_mode():
        logits, _ = net(inputs[:, :1])
    likeliest = logits[:, 0].argmax(-1)
    tokens = _texts(vocabulary, inputs[:, 0])
    return Inspected(found, tokens, _texts(vocabulary, likeliest), logits[:, 0].softmax(-1))


def write_inspection(run: Run, out: Path | None, inspected: Inspected) -> Path:
    """Add an inspection to the run's report.html, or write it as the page `out`; where it is."""
    sections = inspection_sections(
        inspected.inspection, inspected.tokens, inspected.output, inspected.predictions
    )
    if out is not None:
        write_atomic(out, report(f"Inspection of {run.path}", sections).encode())
        return out
    path = run.path / "report.html"
    page = path.read_text("utf-8") if path.exists() else report(f"Run {run.path}", [])
    run.write_text("report.html", amended(page, _BLOCK, [_stand(run), *sections]))
    return path


def keep_inspection(run: Run, page: str) -> str:
    """A new page for the run, with the inspection that its report.html has, if it has one."""
    path = run.path / "report.html"
    if not path.exists():
        return page
    try:
        return carried_over(path.read_text("utf-8", "replace"), page, _BLOCK)
    except RunError:  # the old page is not whole: the new one replaces it
        return page


def _stand(run: Run) -> Section:
    """How far training had come: the page may outlive the weights that were inspected."""
    steps = max((line["step"] for line in run.metrics()), default=0)
    return Section("Inspection", {"the best weights after": f"{steps:,} steps of training"})


def _windows(ids: Tensor, rows: int, steps: int) -> Tensor:
    """Windows of the text as columns, (steps + 1, rows)."""
    spare = len(ids) - steps - 1
    if spare < 0:
        raise DataError(
            f"The text has {len(ids)} tokens, and {steps} steps need {steps + 1}; give a longer "
            "text, or fewer steps."
        )
    starts = torch.linspace(0, spare, rows, dtype=torch.double).long()
    return torch.stack([ids[start : start + steps + 1] for start in starts.tolist()], dim=1)


def _texts(vocabulary: Vocabulary, tokens: Tensor) -> list[str]:
    """Each token by itself as text."""
    found = []
    for token in tokens.tolist():
        decoder = vocabulary.decoder()
        text = decoder.feed(token) + decoder.flush()
        found.append(text.strip(" ") or text or "?")
    return found
