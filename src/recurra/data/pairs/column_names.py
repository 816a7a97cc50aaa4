"""Which column of a table is the source, and which the target."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from recurra.data.transcripts.manifest_rows import find_column, plain_name
from recurra.errors import ConfigError, DataError

__all__ = [
    "SOURCE_COLUMNS",
    "TARGET_COLUMNS",
    "PairColumns",
    "choose_columns",
    "names_columns",
    "split_names",
]

SOURCE_COLUMNS = (
    *("source", "src", "source_text", "source_sentence", "input", "inputs", "from"),
    *("word", "written", "graphemes", "letters", "lemma", "command", "commands", "text"),
)
TARGET_COLUMNS = (
    *("target", "tgt", "target_text", "target_sentence", "output", "outputs", "to", "translation"),
    *("pronunciation", "phonemes", "phones", "inflected", "form", "actions", "iso", "reference"),
)
"""Usual names of columns, in any case; an earlier one wins over a later one."""

_LANGUAGES = (
    "|af|am|ar|az|be|bg|bn|bs|ca|cs|cy|da|de|el|en|eo|es|et|eu|fa|fi|fr|ga|gl|gu|he|hi|hr|hu|hy"
    "|is|it|ja|ka|kk|km|kn|ko|ky|la|lb|lo|lt|lv|mk|ml|mn|mr|ms|mt|my|nb|ne|nl|nn|no|pa|pl|pt|ro|ru"
    "|sk|sl|sq|sr|sv|sw|ta|te|th|tl|tr|uk|ur|uz|vi|yi|zh|zu"
    "|deu|eng|fra|fre|ger|ita|jpn|nld|por|rus|spa"
    "|arabic|chinese|czech|danish|dutch|english|finnish|french|german|greek|hebrew|hindi|hungarian"
    "|italian|japanese|korean|latin|norwegian|persian|polish|portuguese|romanian|russian|spanish"
    "|swedish|thai|turkish|ukrainian|vietnamese|"
)
"""Codes (ISO 639) and names of languages; not "id", which is a number mostly."""


class PairColumns(NamedTuple):
    """The names of the columns; `target` is None where no target is needed."""

    sources: tuple[str, ...]
    target: str | None
    others: tuple[str, ...]


def names_columns(first: Sequence[str], source: str | None, target: str | None) -> bool:
    """Whether the first row of a table names its columns.

    It does where it has the names that the caller gives, or a usual name for the source and one for
    the target, or those of two languages. Positions, from 1 on, name no columns.

    >>> names_columns(["DE", "en"], None, None), names_columns(["gehen", "to go"], None, None)
    (True, False)
    """
    cells = [cell.strip() for cell in first]
    given = [*split_names(source, cells), *split_names(target, cells)]
    if given:
        return any(name in cells or not _is_position(name) for name in given)
    plain = [plain_name(cell) for cell in cells]
    usual = any(n in SOURCE_COLUMNS for n in plain) and any(n in TARGET_COLUMNS for n in plain)
    return usual or len(_languages(cells)) == 2


def split_names(given: str | None, names: Sequence[str]) -> list[str]:
    """The names that a text gives, separated by commas, unless it is one of `names` as a whole.

    >>> split_names("lemma, tags", ["tags", "lemma"]), split_names("a,b", ["a,b"])
    (['lemma', 'tags'], ['a,b'])
    """
    if given is None or given in names:
        return [] if given is None else [given]
    return [name.strip() for name in given.split(",")]


def choose_columns(
    origin: str, names: Sequence[str], source: str | None, target: str | None, *, targets: bool
) -> PairColumns:
    """The columns of source and target: those given, those of usual names, or the other of two.

    Two languages in a table's header are source and target in that order, but not so in the keys of
    JSON objects, which have no order: those of files whose names end otherwise.

    DataError where one is missing or unclear, with the names that there are.
    """
    path, given = Path(origin), split_names(source, names)
    if target is not None and target in given:
        raise ConfigError(f"The source and the target are both column {target!r}; give two.")
    firsts = [str(find_column(path, names, (), "source", name)) for name in given]
    second = find_column(path, names, (), "target", target) if target else None
    first = firsts[0] if firsts else _usual(names, SOURCE_COLUMNS, second)
    rest = [name for name in names if name not in firsts[1:]]
    second = second or _usual(rest, TARGET_COLUMNS, first)
    if not (first or second) and _has_order(origin) and len(_languages(names)) == 2:
        first, second = _languages(names)
    first, second = first or _other_than(second, rest), second or _other_than(first, rest)
    if first is None or (second is None and targets):
        found = {"source": first, "target": second}
        raise DataError(_unclear(origin, names, [r for r, name in found.items() if name is None]))
    sources = tuple(firsts) or (first,)
    return PairColumns(sources, second, tuple(n for n in names if n not in (*sources, second)))


def _has_order(origin: str) -> bool:
    """Whether a table's header names its columns, which have an order."""
    return origin.lower().removesuffix(".gz").endswith((".csv", ".tsv", ".txt", ".tab"))


def _other_than(name: str | None, names: Sequence[str]) -> str | None:
    """The other of two names, or of two languages; None where there are more or fewer."""
    rest = [each for each in names if each != name]
    if len(rest) > 1:
        rest = _languages(rest)
    return rest[0] if name is not None and len(rest) == 1 else None


def _usual(names: Sequence[str], usual: Sequence[str], taken: str | None) -> str | None:
    by_plain = {plain_name(name): name for name in reversed(names) if name != taken}
    return next((by_plain[name] for name in usual if name in by_plain), None)


def _languages(names: Sequence[str]) -> list[str]:
    """Those that are languages, each once."""
    return [name for name in dict.fromkeys(names) if _is_language(name)]


def _is_language(name: str) -> bool:
    return f"|{plain_name(name).partition('_')[0]}|" in _LANGUAGES


def _is_position(name: str) -> bool:
    return name.isdecimal() and int(name) > 0


def _unclear(origin: str, names: Sequence[str], missing: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:10])) + (", …" if len(names) > 10 else "")
    example = ", ".join(
        f"{role} = {name}" for role, name in zip(missing, [*names, "NAME"], strict=False)
    )
    return (
        f"{origin}: no column is known to be the {' or the '.join(missing)}; it has {shown}. Say "
        f"which it is, such as {example}."
    )
