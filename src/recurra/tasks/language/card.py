"""The model card of a run: what it is, what it was made from, how good it is, how to use it."""

import platform

import torch

from recurra import __version__
from recurra.tasks.language.config import LanguageConfig
from recurra.tasks.language.evaluate import Evaluation
from recurra.training import TrainingResult

__all__ = ["model_card"]


def model_card(
    config: LanguageConfig,
    sources: list[dict[str, str]],
    sizes: dict[str, int],
    result: TrainingResult,
    validation: Evaluation | None,
) -> str:
    """The card as Markdown; `sources` are paths and digests, `sizes` counts by name."""
    model = f"{config.cell}, {config.layers} x {config.hidden} hidden units"
    return "\n".join(
        [
            f"# A language model by {config.level}",
            "",
            f"- Model: {model}, " + ", ".join(f"{n:,} {what}" for what, n in sizes.items()),
            f"- Training: {result.steps:,} steps, {result.epochs} epochs, "
            f"{result.seconds / 60:.1f} minutes, {result.clipped_share:.1%} of steps clipped, "
            f"ended: {result.stopped}",
            f"- {_quality(validation)}",
            f"- Seed {config.seed}; recurra {__version__}, torch {torch.__version__}, "
            f"Python {platform.python_version()}",
            "",
            "## Data",
            "",
            *(f"- `{source['path']}` (SHA-256 {source['sha256']})" for source in sources),
            "",
            "## Use",
            "",
            "```sh",
            f'recurra generate {result.path} --prompt "" --length 200',
            f"recurra evaluate {result.path}",
            "```",
            "",
        ]
    )


def _quality(validation: Evaluation | None) -> str:
    if validation is None:
        return "Validation: none was made"
    return (
        f"Validation: {validation['nats']:.4f} nats a token, "
        f"{validation['bits_per_character']:.4f} bits a character, "
        f"perplexity {validation['perplexity']:.2f}, over {validation['tokens']:,} tokens"
    )
