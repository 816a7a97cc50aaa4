"""`recurra serve RUN [RUN...]`."""

from pathlib import Path

import click

from recurra.deploy.serve.serve_options import ServeOptions
from recurra.settings import pin_threads
from recurra.tasks.registry import check_run

__all__ = ["command"]

_USUAL = ServeOptions()


@click.command(name="serve")
@click.argument("runs", metavar="RUN [RUN...]", nargs=-1, required=True)
@click.option("--host", default=_USUAL.host, show_default=True, help="address to listen at")
@click.option("--port", default=_USUAL.port, show_default=True, help="0: a free one")
@click.option("--token", default="", help="what clients must send as a bearer token")
@click.option(
    "--allow-origin",
    "allow_origins",
    multiple=True,
    metavar="ORIGIN",
    help="let pages of https://example.org use it; repeatable",
)
@click.option(
    "--max-sessions", default=_USUAL.max_sessions, show_default=True, help="streams at a time"
)
@click.option(
    "--idle-seconds",
    default=_USUAL.idle_seconds,
    show_default=True,
    help="close silent streams, forget states",
)
@click.option(
    "--queue", default=_USUAL.queue, show_default=True, help="messages under way, of each run"
)
@click.option(
    "--max-body", default=_USUAL.max_body, show_default=True, help="bytes of a request or message"
)
@click.option(
    "--rate", default=_USUAL.rate, show_default=True, help="messages a second of a client; 0: any"
)
@click.option(
    "--drain-seconds",
    default=_USUAL.drain_seconds,
    show_default=True,
    help="for work under way when it is to stop",
)
@click.option(
    "--save-dir", type=click.Path(path_type=Path), help="keep states of streams here, too"
)
@click.option(
    "--threads", default=_USUAL.threads, show_default=True, help="of the processor, for each run"
)
def command(runs: tuple[str, ...], save_dir: Path | None, **options: object) -> None:
    """Answer for the models of RUNs over HTTP and WebSocket, with a page to use them at /."""
    how = ServeOptions(save_dir=save_dir, **options)  # type: ignore[arg-type]
    for run in runs:
        check_run(run)
    pin_threads(how.threads)  # before torch is loaded

    from recurra.cli.terminal import noted
    from recurra.deploy.serve.server import listening, load_runs, serve

    listener = listening(how.host, how.port)
    with listener:
        with noted():
            found = load_runs(runs, how.max_sessions)
        address, port = listener.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        if not how.is_local and not how.token:
            click.echo(
                f"recurra: anybody who reaches {shown}:{port} may use the models; give --token, or "
                "leave --host out.",
                err=True,
            )
        click.echo(f"Serving {', '.join(found)} at http://{shown}:{port}/ (Ctrl-C stops)")
        serve(found, how, listener)
