"""Tesseract on the test lines of a manifest: python tesseract.py MANIFEST [fra].

    apt install tesseract-ocr tesseract-ocr-fra

It is run as it is installed, a process for each line, as one line of text (`--psm 7`). Rates are of
characters, beside them those with long s written as s, in both the text and the output.
"""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np

from recurra.metrics.transcription import bootstrap_interval, error_rates


def read(path, language):
    """The text of an image of a line."""
    words = ["tesseract", str(path), "-", "--psm", "7", "-l", language]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return " ".join(done.stdout.split())


def main(manifest, language="fra"):
    """Print the character error rates, with 95 % intervals."""
    with Path(manifest).open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["split"] == "test"]
    actual = [row["text"] for row in rows]
    written = [read(Path(manifest).parent / row["file"], language) for row in rows]
    for name, old, new in (("as it stands", "", ""), ("ſ as s", "ſ", "s")):
        texts, found = ([each.replace(old, new) for each in side] for side in (actual, written))
        rates = error_rates(texts, found)
        low, high = bootstrap_interval(*rates.items["character"], np.random.default_rng(0))
        print(f"{name}: {rates.cer:.3f} ({low:.3f} to {high:.3f}), {len(rows)} lines")


if __name__ == "__main__":
    main(*sys.argv[1:])
