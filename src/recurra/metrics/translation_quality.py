"""BLEU and chrF by sacrebleu, each with the signature that says how it was computed."""

import importlib
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recurra.errors import ConfigError, DataError, MissingExtra

__all__ = ["QualityScore", "checked_references", "translation_scores"]


@dataclass(frozen=True)
class QualityScore:
    """A score of a corpus from 0 to 100.

    signature: sacrebleu's, such as "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0":
        scores may be compared where these are equal.
    interval: the 95 % interval under resampling of sentences; None without draws, or of one
        sentence.
    details: for BLEU the precisions of n-grams, the brevity penalty and both lengths in tokens.
    """

    name: str
    score: float
    signature: str
    interval: tuple[float, float] | None = None
    details: str = ""

    def __str__(self) -> str:
        ends = self.interval
        between = "" if ends is None else f" (95 % from {ends[0]:.2f} to {ends[1]:.2f})"
        return f"{self.name} = {self.score:.2f}{between} {self.signature}"


def translation_scores(
    references: Sequence[Sequence[str]],
    hypotheses: Sequence[str],
    *,
    tokenised: bool = False,
    lower: bool = False,
    draws: int = 1000,
) -> dict[str, QualityScore]:
    """BLEU and chrF of N hypotheses, by "bleu" and "chrf", against one or several references each.

    tokenised: the texts have spaces between their tokens, and count as they stand (tok:none); else
        sacrebleu takes them apart as WMT's script mteval-v13a did (tok:13a).
    lower: upper and lower case are the same (case:lc).
    draws: samples for the intervals, which sacrebleu draws with a seed of its own; 0: no interval.

    M. Post, "A call for clarity in reporting BLEU scores", WMT 2018; M. Popović, "chrF: character
    n-gram F-score for automatic MT evaluation", WMT 2015 (chrF2: up to 6 characters, beta 2).
    DataError where numbers differ, or an item has no reference; MissingExtra without sacrebleu.

    >>> references = [["a cat sat down"], ["no", "not so"]]
    >>> bleu = translation_scores(references, ["a cat sat down", "no"])["bleu"]
    >>> round(bleu.score), bleu.signature.split("|")[:2]
    (100, ['nrefs:var', 'case:mixed'])
    """
    if draws < 0:
        raise ConfigError(f"draws = {draws}; give the number of samples, 0 for no interval.")
    rows = checked_references(references, hypotheses)
    most = max(map(len, rows))
    streams = [[row[n] if n < len(row) else None for row in rows] for n in range(most)]
    metrics = _metrics()
    options = {"tokenize": "none" if tokenised else "13a", "lowercase": lower, "force": True}
    return {
        "bleu": _scored(lambda: metrics.BLEU(**options), streams, hypotheses, draws),
        "chrf": _scored(lambda: metrics.CHRF(lowercase=lower), streams, hypotheses, draws),
    }


def checked_references(
    references: Sequence[Sequence[str]], hypotheses: Sequence[str]
) -> list[list[str]]:
    """The references of each hypothesis that aren't empty.

    DataError where numbers differ, there are none, or a hypothesis has no reference.
    """
    if isinstance(hypotheses, str) or any(isinstance(row, str) for row in references):
        raise DataError(
            "Hypotheses are a list of texts, and references a list of lists of texts, one list for "
            "each hypothesis."
        )
    if len(references) != len(hypotheses) or not len(hypotheses):
        raise DataError(
            f"{len(references):,} lists of references and {len(hypotheses):,} hypotheses; give as "
            "many of both, one or more."
        )
    rows = [[text for text in row if text.strip()] for row in references]
    if not all(rows):
        raise DataError(
            f"Item {rows.index([])} (from 0) has no reference, or an empty one; leave it out."
        )
    return rows


def _metrics() -> Any:
    if importlib.util.find_spec("sacrebleu") is None:
        raise MissingExtra("sacrebleu", "translate", "Computing BLEU and chrF")
    return importlib.import_module("sacrebleu.metrics")


def _scored(make: Any, streams: Any, hypotheses: Sequence[str], draws: int) -> QualityScore:
    metric = make()
    found = metric.corpus_score(list(hypotheses), streams)
    signature = str(metric.get_signature())
    interval = None
    if draws and len(hypotheses) > 1:
        drawn = make().corpus_score(list(hypotheses), streams, n_bootstrap=draws)
        values = _values(drawn, signature)
        middle, half = values.get("confidence_mean", 0.0), values.get("confidence_var", 0.0)
        interval = (max(middle - half, 0.0), min(middle + half, 100.0))
    details = _values(found, signature).get("verbose_score", "")
    return QualityScore(found.name, float(found.score), signature, interval, details)


def _values(score: Any, signature: str) -> dict[str, Any]:
    """What a score says of itself; of one that is 0 it leaves out the interval."""
    values: dict[str, Any] = json.loads(score.format(width=6, signature=signature, is_json=True))
    return values
