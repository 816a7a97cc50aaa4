"""Facts that tasks of sequences share for card and report: the data, and the network."""

from __future__ import annotations

from recurra.config.sequence_config import SequenceConfig
from recurra.tasks.inputs.collection import Collection, Part
from recurra.tasks.inputs.encoder import SequenceEncoder
from recurra.tasks.inputs.input import Input
from recurra.tasks.inputs.pooled_net import PooledNet

__all__ = ["FILES", "KINDS", "described_items", "described_network"]

KINDS = {
    "sound": "Sound",
    "ink": "Pen strokes",
    "image": "Images",
    "series": "Series",
    "text": "Texts",
}
"""What a kind of input is called."""

FILES = {
    "sound": "word.wav",
    "ink": "note.jsonl",
    "image": "line.png",
    "series": "new.csv",
    "text": "new.csv",
}
"""A file as an example of its kind."""


def described_items(data: Collection, labels: str) -> dict[str, object]:
    """The items to train on, whose `labels` are described, those held out, and those left out."""
    facts: dict[str, object] = {
        "items to train on": f"{_sizes(data.train)}; {labels}",
        "items held out": _sizes(data.held_out) if len(data.held_out) else "none",
    }
    left_out = [str(part.bad) for part in (data.train, data.held_out) if len(part.bad)]
    if left_out:
        facts["left out"] = " ".join(left_out)
    return facts


def described_network(
    config: SequenceConfig, how: Input, net: SequenceEncoder
) -> dict[str, object]:
    """The input, the cell, the pooling, and how many numbers are learnt."""
    directions = (
        "both directions" if config.bidirectional else "one direction, which can be streamed"
    )
    taken = net.front.subsampling
    return {
        "input": f"{how.kind}" + (f", {taken} steps of which make one" if taken > 1 else ""),
        "cell": f"{config.cell}, {config.layers} x {config.hidden} units, {directions}",
        **({"pooling": config.pooling} if isinstance(net, PooledNet) else {}),
        "parameters": f"{net.parameter_count():,}",
    }


def _sizes(part: Part) -> str:
    shortest, longest = min(part.steps), max(part.steps)
    steps = f"{longest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
    return f"{len(part):,}, of {steps} steps"
