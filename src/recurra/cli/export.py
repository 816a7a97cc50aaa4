"""`recurra export RUN`."""

from pathlib import Path
from typing import Any

import click

from recurra.tasks.registry import check_run

__all__ = ["command"]


@click.command(name="export")
@click.argument("run", metavar="RUN")
@click.option("--to", required=True, metavar="KIND", help="onnx, c, html or torch")
@click.option(
    "--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="folder to write"
)
@click.option(
    "--weights",
    type=click.Choice(["float32", "int16", "int8"]),
    default="float32",
    show_default=True,
    help="smaller ones are not quite the same",
)
def command(run: str, to: str, out: Path, weights: Any) -> None:
    """Write the networks of RUN as files that run without Recurra.

    Each is run beside the model itself before anything is written. How good it is, `recurra
    evaluate RUN FILE --exported KIND` says.
    """
    check_run(run)

    from recurra.cli.terminal import noted
    from recurra.deploy.export import export
    from recurra.tasks.registry import load

    with noted():
        files = export(load(run), to, out, weights=weights)
    for file in files:
        click.echo(f"{file}: {file.stat().st_size:,} bytes")
