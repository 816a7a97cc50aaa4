"""`recurra generate RUN`."""

import itertools
from typing import Any

import click

from recurra.tasks.language.config import check_writing
from recurra.tasks.registry import check_run

__all__ = ["command"]


@click.command(name="generate")
@click.argument("run", metavar="RUN")
@click.option("--prompt", default="", help="text to continue")
@click.option("--length", default=400, show_default=True, help="tokens to write")
@click.option("--temperature", default=1.0, show_default=True, help="below 1 safer, 0 greedy")
@click.option("--top-k", default=0, show_default=True, help="draw among the k likeliest; 0: all")
@click.option("--top-p", default=1.0, show_default=True, help="draw among those that sum to p")
@click.option("--ban", "banned", multiple=True, metavar="TOKEN", help="never draw it; repeatable")
@click.option("--unknown", is_flag=True, help="draw the unknown token, too: <unk>")
@click.option("--seed", type=int, help="the same seed writes the same text")
def command(
    run: str,
    prompt: str,
    length: int,
    temperature: float,
    top_k: int,
    top_p: float,
    banned: tuple[str, ...],
    unknown: bool,
    seed: int | None,
) -> None:
    """Write new text with the model of RUN, as it comes: PROMPT first, then what follows it."""
    how: dict[str, Any] = {
        "length": length,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "seed": seed,
    }
    check_writing(prompt, **how)
    check_run(run)

    from recurra.cli.terminal import noted, show_text
    from recurra.tasks.language import LanguageModel

    with noted():
        model = LanguageModel.load(run)
        pieces = model.stream(prompt, banned=banned, unknown=unknown, **how)
    show_text(itertools.chain([prompt], pieces))
