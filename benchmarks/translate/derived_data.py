"""Data for the translation benchmarks: python derived_data.py NAME FOLDER [SEED].

    dates      10,000 dates in many written forms, and as ISO 8601: train, valid and test .tsv
    cmudict    words and all their pronunciations without stress: train, valid and test .jsonl

Data sets are read under $RECURRA_DATA. Multi30k needs no making: its files are read as they are.
"""

import csv
import datetime
import json
import os
import re
import sys
from pathlib import Path

import numpy as np

from recurra.data.pairs.pair_sources import read_pairs

DATA = Path(os.environ.get("RECURRA_DATA", "."))
PARTS = {"train": 8000, "valid": 1000, "test": 1000}
"""Pairs of dates of each part; none of its written dates is in another."""
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
UNITS = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"),
    *("tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth"),
    *("seventeenth", "eighteenth", "nineteenth", "twentieth"),
)
FORMS = (
    *("{d} {month} {y}", "{dd} {month} {y}", "{th} {month} {y}", "{th} of {month} {y}"),
    *("the {th} of {month}, {y}", "{month} {d}, {y}", "{month} {th}, {y}", "{month} {d} {y}"),
    *("{d} {mon} {y}", "{dd}-{mon}-{y}", "{mon} {d}, {y}", "{mon}. {dd} {y}", "{y} {mon} {d}"),
    *("{y} {month} {d}", "{y}, {month} {th}", "{weekday}, {d} {month} {y}", "{y}/{mm}/{dd}"),
    *("{weekday}, {month} {d}, {y}", "{day} {d} {mon} {y}", "{day}, {mon} {dd}, {y}"),
    *("{word} of {month} {y}", "{month} the {word}, {y}", "the {word} of {month} in {y}"),
    *("{d} {roman} {y}", "{d}.{roman}.{y}", "{y}.{mm}.{dd}", "{y}{mm}{dd}", "{y}-{m}-{d}"),
)
NUMERIC = (
    *("{dd}.{mm}.{y}", "{d}/{m}/{y}", "{m}/{d}/{y}", "{dd}-{mm}-{y}", "{mm}-{dd}-{y}"),
    "{d} {m} {y}",
)
"""Forms whose order of day and month only a day after the 12th shows."""


def written(date, form):
    """A date in a form; years have four digits, since two may be of any century."""
    day, month = date.day, MONTHS[date.month - 1]
    tail = {1: "st", 2: "nd", 3: "rd"}.get(day % 10 if day not in (11, 12, 13) else 0, "th")
    tens = {2: "twenty-", 3: "thirty-"}.get(day // 10, "")
    word = UNITS[day - 1] if day <= 20 else "thirtieth" if day == 30 else tens + UNITS[day % 10 - 1]
    return form.format(
        d=day,
        dd=f"{day:02}",
        th=f"{day}{tail}",
        word=word,
        m=date.month,
        mm=f"{date.month:02}",
        month=month,
        mon=month[:3],
        roman=ROMAN[date.month - 1],
        weekday=DAYS[date.weekday()],
        day=DAYS[date.weekday()][:3],
        y=date.year,
    )


def dates(folder, seed):
    """Write dates from 1900 to 2099, each in a form of its own, some in small or in capitals."""
    generator = np.random.default_rng(seed)
    first = datetime.date(1900, 1, 1).toordinal()
    last = datetime.date(2099, 12, 31).toordinal()
    pairs = {}
    while len(pairs) < sum(PARTS.values()):
        date = datetime.date.fromordinal(int(generator.integers(first, last + 1)))
        forms = (*FORMS, *NUMERIC) if date.day > 12 else FORMS
        text = written(date, forms[generator.integers(len(forms))])
        case = generator.integers(6)
        pairs[text.lower() if case == 0 else text.upper() if case == 1 else text] = date.isoformat()
    rows = iter(pairs.items())
    for part, count in PARTS.items():
        with (folder / f"{part}.tsv").open("w", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerows([("source", "target"), *(next(rows) for _ in range(count))])
    return len(pairs)


def cmudict(folder, seed):
    """Write words by their place in the dictionary: 0 of 20 to test, 10 to validate on."""
    pairs = read_pairs(DATA / "cmudict" / "cmudict.dict")
    parts = {"train": [], "valid": [], "test": []}
    for number, pair in enumerate(pairs):
        plain = dict.fromkeys(re.sub(r"\d", "", target) for target in pair.targets)
        part = {0: "test", 10: "valid"}.get(number % 20, "train")
        parts[part].append(json.dumps({"source": pair.source, "target": list(plain)}) + "\n")
    for part, lines in parts.items():
        (folder / f"{part}.jsonl").write_text("".join(lines))
    return len(pairs)


MADE = {"dates": dates, "cmudict": cmudict}


def main(name, folder, seed="0"):
    """Make a set."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{MADE[name](folder, int(seed)):,} pairs: {folder}")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in MADE:
        sys.exit(__doc__)
    main(*sys.argv[1:])
