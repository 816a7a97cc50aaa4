"""Text from files, or without any the text that comes with Python."""

import hashlib
import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recurra.data import check_exists
from recurra.errors import DataError

__all__ = [
    "BUILTIN",
    "Text",
    "TextSource",
    "builtin_text",
    "read_bytes",
    "read_text",
    "split_text",
    "universal_lines",
]

BUILTIN = "pydoc_data.topics"
"""The name of the source of Python's own documentation."""

_TABLE = ("|", "+-", "+=")


@dataclass(frozen=True)
class TextSource:
    """The origin of a text, and the SHA-256 of its bytes."""

    path: str | None  # None: in memory
    sha256: str


@dataclass(frozen=True)
class Text:
    """The characters of one or several sources, one after the other."""

    content: str
    sources: tuple[TextSource, ...]

    @classmethod
    def of(cls, texts: Sequence[str], *, raw: bool = False) -> "Text":
        """Texts in memory, one after the other; their line ends are kept only if `raw`."""
        digests = (hashlib.sha256(text.encode("utf-8", "surrogatepass")) for text in texts)
        content = "".join(texts if raw else map(universal_lines, texts))
        return cls(content, tuple(TextSource(None, digest.hexdigest()) for digest in digests))


def read_text(paths: Sequence[str | Path], *, raw: bool = False) -> Text:
    r"""Read UTF-8 files and join them; no path at all means `builtin_text()`.

    A byte order mark at a file's start is dropped, and every line ends with "\n". With `raw` files
    hold any bytes: all are kept, those that are not UTF-8 as lone surrogates (`surrogateescape`).

    Raises:
        DataError: a file is missing, a directory, unreadable, empty or, unless `raw`, not UTF-8.
    """
    if not paths:
        return builtin_text()
    pieces, sources = [], []
    for path in paths:
        data = read_bytes(Path(path))
        if not data:
            raise DataError(f"{path}: is empty; give a file with text in it.")
        pieces.append(data.decode("utf-8", "surrogateescape") if raw else _decode(data, path))
        sources.append(TextSource(str(Path(path).absolute()), hashlib.sha256(data).hexdigest()))
    return Text("".join(pieces), tuple(sources))


def builtin_text() -> Text:
    """Python's own documentation, its topics in alphabetical order, without tables: 0.4 MB."""
    topics: dict[str, str] = importlib.import_module(BUILTIN).topics
    lines = "\n\n".join(topics[name].strip() for name in sorted(topics)).split("\n")
    content = "\n".join(line for line in lines if not line.lstrip().startswith(_TABLE)) + "\n"
    digest = hashlib.sha256(content.encode("utf-8")).hexdigest()
    return Text(content, (TextSource(BUILTIN, digest),))


def universal_lines(text: str) -> str:
    r"""Text whose lines end with "\n", whether they ended with "\r\n" or "\r".

    >>> universal_lines("one\r\ntwo\rthree\n")
    'one\ntwo\nthree\n'
    """
    return text.replace("\r\n", "\n").replace("\r", "\n")


def split_text(content: str, fraction: float, *, whole_words: bool) -> tuple[str, str]:
    """Cut off the last `fraction` of a text; with `whole_words`, at the next start of a line.

    Where that line starts in the second half of what is to be cut off, or there is none, as in a
    text of one line, it is cut at the next start of a word. One of the parts may be empty.

    >>> split_text("0123456789", 0.2, whole_words=False)
    ('01234567', '89')
    >>> split_text("to be or not to be", 0.3, whole_words=True)
    ('to be or not ', 'to be')
    """
    cut = int(len(content) * (1 - fraction))
    if whole_words:
        line = content.find("\n", max(cut - 1, 0)) + 1 or len(content)
        cut = line if 2 * line <= cut + len(content) else _word_from(content, cut)
    return content[:cut], content[cut:]


def _word_from(content: str, position: int) -> int:
    """The start of the first word that starts at `position` or after it."""
    found = re.compile(r"(?<=\s)\S").search(content, position)
    return found.start() if found else len(content)


def read_bytes(path: Path) -> bytes:
    """The content of a file; DataError where it is missing, a directory or unreadable."""
    check_exists(path)
    try:
        return path.read_bytes()
    except IsADirectoryError as error:
        raise DataError(f"{path}: is a directory; name the text files inside it.") from error
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); check its permissions."
        ) from error


def _decode(data: bytes, path: str | Path) -> str:
    if (offset := data.find(0)) >= 0:
        raise DataError(
            f"{path}: is binary, not text (a zero byte at offset {offset}); give a UTF-8 text "
            "file, or level = byte (--level byte), which reads any bytes."
        )
    try:
        return universal_lines(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: is not UTF-8 (byte 0x{data[error.start]:02x} at offset {error.start}); "
            "convert it, for example with: iconv -f latin1 -t utf-8, or give level = byte "
            "(--level byte), which reads any bytes."
        ) from error
