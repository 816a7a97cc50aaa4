"""`recurra export RUN`."""

from pathlib import Path

import click

from recurra.tasks.registry import check_run

__all__ = ["command"]


@click.command(name="export")
@click.argument("run", metavar="RUN")
@click.option("--to", required=True, metavar="KIND", help="onnx")
@click.option(
    "--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="folder to write"
)
@click.option("--int8", is_flag=True, help="weights of 8 bits: smaller, and not quite the same")
def command(run: str, to: str, out: Path, int8: bool) -> None:
    """Write the networks of RUN as files that run without Recurra.

    Each is run beside the model itself before anything is written. How good it is, `recurra
    evaluate RUN FILE --exported KIND` says.
    """
    check_run(run)

    from recurra.cli.terminal import noted
    from recurra.deploy.export import export
    from recurra.tasks.registry import load

    with noted():
        files = export(load(run), to, out, int8=int8)
    for file in files:
        click.echo(f"{file}: {file.stat().st_size:,} bytes")
