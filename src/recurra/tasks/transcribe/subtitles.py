"""Subtitles of a transcript with times: cues of two lines, as SRT and WebVTT."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from recurra.errors import DataError
from recurra.tasks.transcribe.transcript import TextSpan, Transcript

__all__ = ["SubtitleCue", "subtitle_cues", "to_srt", "to_vtt"]

# Lines and the longest time are those of Netflix's "Timed Text Style Guide" for English.
LINE = 42
"""Characters in a line; a cue has two."""
LONGEST, SHORTEST = 7.0, 1.0
"""Seconds that a cue is shown; shorter ones stay, as long as the next one lets them."""
PAUSE = 0.7
"""Seconds of silence that end a cue."""

_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")


@dataclass(frozen=True)
class SubtitleCue:
    """One or two lines of text, and the milliseconds at which they appear and vanish."""

    start: int
    end: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Piece:
    """A word, or the part of a word that is longer than a line; `glue` stands before it."""

    span: TextSpan
    glue: str


def subtitle_cues(transcript: Transcript) -> list[SubtitleCue]:
    """The cues of a transcript, in order, none of which overlaps the next.

    A cue ends at a pause, before it would be longer than two lines of 42 characters or 7 seconds,
    and after the end of a sentence once it fills a line. A word longer than a line is cut.

    Raises:
        DataError: positions aren't seconds, or the words have no times.
    """
    if transcript.unit != "seconds":
        raise DataError(
            f"{_of(transcript)} has positions in {transcript.unit}, and subtitles need seconds of "
            "sound; write it as text or as JSON."
        )
    if transcript.text.strip() and not transcript.words:
        raise DataError(
            f"{_of(transcript)} has no times of words, which subtitles need; transcribe with "
            "times = true (--times)."
        )
    groups = list(_groups([piece for word in transcript.words for piece in _pieces(word)]))
    starts = [round(1000 * group[0].span.start) for group in groups]
    return [
        SubtitleCue(start, _end(start, group, following), _lines(group))
        for start, group, following in zip_longest(starts, groups, starts[1:])
    ]


def to_srt(transcript: Transcript) -> str:
    """The cues as SubRip text, which has no escapes; "" where nothing was said.

    >>> words = (TextSpan("so", 0.2, 0.4), TextSpan("what?", 0.5, 1.25))
    >>> print(to_srt(Transcript("so what?", words=words)))
    1
    00:00:00,200 --> 00:00:01,250
    so what?
    <BLANKLINE>
    """
    cues = enumerate(subtitle_cues(transcript), start=1)
    return "\n".join(f"{number}\n{_cue(cue, ',', str)}" for number, cue in cues)


def to_vtt(transcript: Transcript) -> str:
    """The cues as WebVTT, with &, < and > as entities.

    >>> print(to_vtt(Transcript("R&B", words=(TextSpan("R&B", 0.2, 1.4),))))
    WEBVTT
    <BLANKLINE>
    00:00:00.200 --> 00:00:01.400
    R&amp;B
    <BLANKLINE>
    """
    cues = [_cue(cue, ".", _escaped) for cue in subtitle_cues(transcript)]
    return "\n".join(["WEBVTT\n", *cues])


def _of(transcript: Transcript) -> str:
    return Path(transcript.name).name or "The transcript"


def _pieces(word: TextSpan) -> Iterator[_Piece]:
    """The word, or parts of at most a line, its time shared out by their lengths."""
    text = " ".join(word.text.split())
    each = (word.end - word.start) / max(len(text), 1)
    for place in range(0, len(text), LINE):
        part = text[place : place + LINE]
        start = word.start + place * each
        yield _Piece(TextSpan(part, start, start + len(part) * each), "" if place else " ")


def _groups(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    group: list[_Piece] = []
    for piece in pieces:
        if group and _starts_anew(group, piece):
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _starts_anew(group: Sequence[_Piece], piece: _Piece) -> bool:
    last, text = group[-1].span, _text(group)
    return (
        piece.span.start - last.end >= PAUSE
        or piece.span.end - group[0].span.start > LONGEST
        or (len(text) >= LINE and last.text.endswith(_SENTENCE_ENDS))
        or _broken([*group, piece]) is None
    )


def _text(group: Sequence[_Piece]) -> str:
    return "".join(piece.glue + piece.span.text for piece in group).strip()


def _broken(group: Sequence[_Piece]) -> tuple[str, ...] | None:
    """The text on one line, or on two that are as equal as can be; None where it needs more."""
    if len(whole := _text(group)) <= LINE:
        return (whole,)
    halves = [(_text(group[:place]), _text(group[place:])) for place in range(1, len(group))]
    fitting = [pair for pair in halves if max(map(len, pair)) <= LINE]
    return min(fitting, key=lambda pair: abs(len(pair[0]) - len(pair[1])), default=None)


def _lines(group: Sequence[_Piece]) -> tuple[str, ...]:
    lines = _broken(group)
    assert lines is not None, "a group grows only while it fits"
    return lines


def _end(start: int, group: Sequence[_Piece], following: int | None) -> int:
    """The end in milliseconds: of the last word, held to the limits and to the next cue."""
    spoken = round(1000 * group[-1].span.end)
    end = min(max(spoken, start + round(1000 * SHORTEST)), start + round(1000 * LONGEST))
    return end if following is None else max(min(end, following), start + 1)


def _cue(cue: SubtitleCue, mark: str, escape: Callable[[str], str]) -> str:
    lines = "\n".join(map(escape, cue.lines))
    return f"{_clock(cue.start, mark)} --> {_clock(cue.end, mark)}\n{lines}\n"


def _clock(milliseconds: int, mark: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}{rest:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
