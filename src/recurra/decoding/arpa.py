"""N-gram models in the ARPA format, which other tools read and write: SRILM, KenLM, flashlight."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from recurra.decoding.backoff_trie import BackoffTrie, link_suffixes
from recurra.decoding.ngram import END, START, UNKNOWN, NGram
from recurra.errors import DataError

__all__ = ["read_arpa", "write_arpa"]

_NEVER = -99.0
"""log10 of a probability of 0, as the format writes it."""
_SPACE = "<space>"
"""Stands for the symbol ' ', which the format can't have."""


def write_arpa(model: NGram, path: Path) -> None:
    """Write a model; a space among its symbols becomes `<space>`."""
    trie, names = model.trie, [_SPACE if s == " " else s for s in model.symbols]
    parents = np.repeat(np.arange(len(trie.symbol)), np.diff(trie.first))
    texts = [""]
    with path.open("w", encoding="utf-8") as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {k}={n}\n" for k, n in enumerate(trie.levels, 1))
        for order, count in enumerate(trie.levels, 1):
            file.write(f"\n\\{order}-grams:\n")
            for node in range(len(texts), len(texts) + count):
                name = f"{texts[parents[node - 1]]} {names[trie.symbol[node]]}".strip()
                texts.append(name)
                value = max(float(trie.log_prob[node]) / np.log(10), _NEVER)
                back = f"\t{trie.backoff[node] / np.log(10):.9g}" if order < model.order else ""
                file.write(f"{value:.9g}\t{name}{back}\n")
        file.write("\n\\end\\\n")


def read_arpa(path: Path) -> NGram:
    """Read a model; symbols are parted by white space, `<space>` becomes a space.

    Raises:
        DataError: a file that isn't in this format, with the line.
    """
    levels: list[dict[tuple[str, ...], tuple[float, float]]] = []
    for order, words, value, back in _entries(path):
        levels += [{} for _ in range(order - len(levels))]
        levels[order - 1][words] = (value, back)
    if not levels or not {(START,), (END,)} <= levels[0].keys():
        raise DataError(f"{path}: no 1-grams, or none of {START} and {END}; give an ARPA file.")
    levels[0].setdefault((UNKNOWN,), (-np.inf, 0.0))
    special = [UNKNOWN, START, END]
    symbols = special + sorted(word for (word,) in levels[0] if word not in special)
    return NGram(symbols, _trie(levels, symbols, path))


def _entries(path: Path) -> Iterator[tuple[int, tuple[str, ...], float, float]]:
    """Each n-gram: its order, symbols, natural log-probability and back-off."""
    order = 0
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            text = line.strip()
            if text.endswith("-grams:"):
                order = int(text[1:-7])
            elif order and text and not text.startswith("\\"):
                fields = text.split()
                if len(fields) not in (order + 1, order + 2):
                    raise DataError(
                        f"{path}, line {number}: {len(fields)} fields; a {order}-gram has a "
                        f"number, {order} symbols and perhaps a back-off."
                    )
                words = tuple(" " if w == _SPACE else w for w in fields[1 : order + 1])
                numbers = (fields[0], [*fields, "0"][order + 1])
                value, back = (_natural(text, f"{path}, line {number}") for text in numbers)
                yield order, words, value, back


def _natural(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise DataError(f"{place}: {text!r} isn't a number; give log10 values.") from error
    return -np.inf if value <= _NEVER else value * float(np.log(10))


def _trie(levels: list[dict[Any, Any]], symbols: list[str], path: Path) -> BackoffTrie:
    numbers = {symbol: i for i, symbol in enumerate(symbols)}
    nodes: dict[tuple[str, ...], int] = {(): 0}
    parents, last, values = [], [0], [(0.0, 0.0)]
    for level in levels:
        try:
            entries = [(nodes[w[:-1]], numbers[w[-1]], w) for w in level]
        except KeyError as error:
            raise DataError(f"{path}: an n-gram's beginning {error} isn't in the file.") from error
        for parent, symbol, words in sorted(entries):
            nodes[words] = len(last)
            parents.append(parent)
            last.append(symbol)
            values.append(level[words])
    sizes = tuple(len(level) for level in levels)
    first = 1 + np.append(np.searchsorted(parents, np.arange(len(last))), len(parents))
    suffix = link_suffixes(sizes, first, np.array(last))
    log_prob, backoff = np.array(values, np.float32).T
    return BackoffTrie(sizes, np.array(last), first, suffix, log_prob, backoff)
