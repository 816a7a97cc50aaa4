"""`recurra transcribe RUN FILE...`: text of sound, ink and images of lines."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recurra.cli.config_options import given, options_for
from recurra.data import check_exists
from recurra.errors import DataError
from recurra.tasks.registry import check_run
from recurra.tasks.transcribe.config import Decoding

if TYPE_CHECKING:
    from recurra.tasks.transcribe import Transcriber, Transcript

__all__ = ["command"]

SUBTITLES = ("srt", "vtt")
FORMATS = ("text", *SUBTITLES, "json")


@click.command(name="transcribe")
@click.argument("run", metavar="RUN")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("-o", "--out", metavar="FILE", help="write there, not to the screen")
@click.option("--format", "form", type=click.Choice(FORMATS), help="[by --out, else text]")
@click.option("--srt", "form", flag_value="srt", help="subtitles: the same as --format srt")
@click.option("--vtt", "form", flag_value="vtt", help="the same as --format vtt")
@click.option("--json", "form", flag_value="json", help="the same as --format json")
@click.option("--times", is_flag=True, help="the place of each word, with its confidence")
@click.option("--nbest", type=click.IntRange(min=1), default=1, help="so many readings of each")
@click.option(
    "--rate", type=click.IntRange(min=1000), help="samples a second of standard input [the model's]"
)
@options_for(Decoding, dataclasses.fields(Decoding))
def command(
    run: str,
    files: tuple[str, ...],
    out: str | None,
    form: str | None,
    times: bool,
    nbest: int,
    rate: int | None,
    **options: Any,
) -> None:
    """Write the text of FILEs: sound, ink or images of lines, as RUN was trained on.

    \b
    recurra transcribe runs/speech talk.wav --srt -o talk.srt
    arecord -f S16_LE -r 8000 -t raw | recurra transcribe runs/speech -

    A FILE of - is live sound on standard input, raw samples of 16 bits: text appears as it is
    settled. That takes a model of one direction.
    """
    form = form or _form_of(out)
    live = "-" in files
    _check(files, live, form, times, nbest, rate, out)
    check_run(run)
    for file in () if live else files:
        check_exists(file)

    from recurra.cli.terminal import noted
    from recurra.tasks.transcribe import Transcriber

    with noted():
        model = Transcriber.load(run)
        if live:
            _live(model, rate, given(options))
            return
        if form in SUBTITLES and model.unit != "seconds":
            raise click.UsageError(
                f"Subtitles are of sound, and this model's places are {model.unit}; leave out "
                f"--{form}, or take --json."
            )
        timed = times or form != "text"
        found = model.transcribe(list(files), times=timed, nbest=nbest, **given(options))
    if len(found) > 1 and form in SUBTITLES:
        paths = _subtitle_paths([one.name for one in found], form, out)
        for one, path in zip(found, paths, strict=True):
            _write(_written([one], form, times, nbest), path)
    else:
        _write(_written(found, form, times, nbest), out)


def _form_of(out: str | None) -> str:
    """The format that the ending of a file asks for."""
    ending = "" if out is None else Path(out).suffix.lower().removeprefix(".")
    return ending if ending in FORMATS else "text"


def _check(
    files: tuple[str, ...],
    live: bool,
    form: str,
    times: bool,
    nbest: int,
    rate: int | None,
    out: str | None,
) -> None:
    """Refuse options that contradict one another."""
    if live and (len(files) > 1 or form != "text" or times or nbest > 1 or out is not None):
        raise click.UsageError(
            "Standard input is live: its text is written to the screen as it comes; leave out "
            "other files and options of the output."
        )
    if rate is not None and not live:
        raise click.UsageError("--rate is of standard input; files say theirs. Leave it out.")
    if form in SUBTITLES and len(files) > 1:
        _subtitle_paths(files, form, out)
    if nbest > 1 and form in SUBTITLES:
        raise click.UsageError(f"Subtitles have one reading; leave out --nbest, or --{form}.")


def _subtitle_paths(names: Sequence[str], form: str, out: str | None) -> list[str]:
    """A file in the folder `out` for each recording."""
    if out is None or not Path(out).is_dir():
        raise click.UsageError(
            f"Subtitles of {len(names)} recordings are as many files; name a folder for them that "
            "is there: -o FOLDER."
        )
    paths = [str(Path(out, f"{Path(name).stem}.{form}")) for name in names]
    twice = next((path for number, path in enumerate(paths) if path in paths[:number]), None)
    if twice is not None:
        raise click.UsageError(
            f"Two of the recordings would be written to {twice}; transcribe them one by one."
        )
    return paths


def _written(found: list[Transcript], form: str, times: bool, nbest: int) -> str:
    from recurra.tasks.transcribe import subtitles, transcript

    shown = found[0] if len(found) == 1 else found
    if form == "json":
        return transcript.to_json(shown)
    if form in SUBTITLES:
        return subtitles.to_srt(found[0]) if form == "srt" else subtitles.to_vtt(found[0])
    if times:
        return "".join(_timed(one) for one in found)
    if nbest > 1:
        return "".join(_readings(one) for one in found)
    return transcript.to_text(shown)


def _timed(one: Transcript) -> str:
    """A line for each word: the name, its start and end, the word, its confidence."""
    return "".join(
        f"{one.name}\t{word.start:.2f}\t{word.end:.2f}\t{word.text}\t{word.confidence:.2f}\n"
        for word in one.words
    )


def _readings(one: Transcript) -> str:
    return "".join(f"{one.name}\t{score:.2f}\t{text}\n" for text, score in one.alternatives)


def _write(text: str, out: str | None) -> None:
    if out is None:
        click.echo(text, nl=False)
        return
    from recurra.files import write_atomic

    try:
        write_atomic(Path(out), text.encode())
    except OSError as error:
        raise DataError(f"{out} can't be written: {error.strerror or error}.") from error
    click.echo(f"Written: {out}")


def _live(model: Transcriber, rate: int | None, options: dict[str, Any]) -> None:
    """Text of standard input as it is settled, until its end or Ctrl-C."""
    from recurra.cli.terminal import show_text

    show_text(model.live(sys.stdin.buffer, rate=rate, **options))
