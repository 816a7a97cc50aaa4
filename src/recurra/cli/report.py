"""What the verbs print: a training, an evaluation, a text as it is written."""

import shlex
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from recurra.cli.terminal import show_facts

if TYPE_CHECKING:
    from recurra.tasks.language import Evaluation
    from recurra.training import TrainingResult

__all__ = ["show_evaluation", "show_interrupted", "show_next", "show_text", "show_training"]

_STOPPED = {
    "finished": "all epochs",
    "early": "early stopping",
    "steps": "max_steps",
    "time": "max_minutes",
    "interrupted": "Ctrl-C",
}


def show_training(result: "TrainingResult") -> None:
    """How long it took and how it ended."""
    show_facts(
        f"Trained into {result.path}",
        {
            "steps": f"{result.steps:,} ({result.epochs} epochs)",
            "minutes": f"{result.seconds / 60:.1f}",
            "ended by": _STOPPED[result.stopped],
            "clipped steps": f"{result.clipped_share:.1%}",
        },
    )


def show_evaluation(title: str, evaluation: "Evaluation") -> None:
    """Nats, bits per character and perplexity."""
    show_facts(
        title,
        {
            "nats per token": f"{evaluation['nats']:.4f}",
            "bits per character": f"{evaluation['bits_per_character']:.4f}",
            "perplexity": f"{evaluation['perplexity']:,.2f}",
            "tokens": f"{evaluation['tokens']:,}",
        },
    )


def show_text(pieces: Iterable[str]) -> None:
    """Print each piece as it comes."""
    for piece in pieces:
        click.echo(piece, nl=False)
        sys.stdout.flush()
    click.echo()


def show_interrupted(result: "TrainingResult", out: str, task: str = "language") -> None:
    """Where training stands and how to go on."""
    steps = f"{result.steps:,} step" + ("" if result.steps == 1 else "s")
    click.echo(f"Saved after {steps}. Go on with:")
    click.echo(f"  recurra train {task} --resume --out {shlex.quote(out)}")


def show_next(out: str) -> None:
    """What can be done with the run now."""
    run = shlex.quote(out)
    click.echo("\nNext:")
    click.echo(f"  recurra generate {run} --temperature 0.7")
    click.echo(f"  recurra evaluate {run} FILE")
