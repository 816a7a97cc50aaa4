"""Data made of other data, for the transcription benchmarks: python derived_data.py NAME FOLDER.

    digit-strings    recordings of 3 to 7 digits, joined as the data's own list has it (fsdd)
    digits           images of single digits (mnist_subset)
    digit-lines      images of 3 to 7 digits side by side, with slant and spacing of their own
    digit-strokes    single digits traced into pen strokes, by thinning and following
    stroke-strings   3 to 7 of them side by side
    rendered-lines   lines of Python's documentation in twelve fonts, with slant and noise

The sets are read under $RECURRA_DATA. FOLDER gets files and a manifest with the column `split`.
"""

import csv
import json
import os
import sys
from pathlib import Path

import matplotlib
import numpy as np

from recurra.data.audio.sound import Sound, read_sound, write_sound
from recurra.data.digits import read_digits
from recurra.data.images.digit_lines import join_digits
from recurra.data.images.image_file import png_bytes
from recurra.data.images.rendered import Rendering, render_line
from recurra.data.ink.trace_image import trace_all
from recurra.data.text import builtin_text

DATA = Path(os.environ.get("RECURRA_DATA", "."))
PARTS = {"train": 4000, "valid": 300, "test": 1000}
"""Strings of digits that are made of each part of MNIST."""


def digit_strings(folder):
    """Join recordings with the gaps of the list."""
    source = DATA / "fsdd"
    for row in csv.DictReader((source / "digit_strings.csv").open()):
        gaps = [int(gap) for gap in row["gap_samples"].split()]
        pieces = []
        for number, file in enumerate(row["files"].split()):
            sound = read_sound(source / "recordings" / file)
            pieces += [sound.samples, np.zeros(gaps[number] if number < len(gaps) else 0, "f4")]
        path = f"{row['id']}.wav"
        write_sound(folder / path, Sound(np.concatenate(pieces), sound.rate))
        yield {
            "path": path,
            "text": row["transcript"],
            "split": row["split"],
            "speaker": row["speaker"],
        }


def digits(folder):
    """Write each digit as an image."""
    for part in PARTS:
        images, labels = read_digits(DATA / "mnist_subset", part)
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = f"{part}-{number:05}.png"
            (folder / path).write_bytes(png_bytes(1 - image / np.float32(255)))
            yield {"path": path, "text": str(label), "split": part}


def digit_lines(folder):
    """Write lines of digits, each part of digits of its own."""
    for place, (part, count) in enumerate(PARTS.items()):
        images, labels = read_digits(DATA / "mnist_subset", part)
        generator = np.random.default_rng(place)
        for number in range(count):
            line = join_digits(images, labels, generator)
            path = f"{part}-{number:05}.png"
            (folder / path).write_bytes(png_bytes(1 - line.columns.T))
            yield {"path": path, "text": line.text, "split": part}


def traced(part):
    """The strokes of every digit of a part, with its label."""
    images, labels = read_digits(DATA / "mnist_subset", part)
    inks = trace_all(images)
    return [[s.round(2).tolist() for s in ink.strokes] for ink in inks], labels


def digit_strokes(folder):
    """Strokes of single digits, a line of JSON each."""
    for part in PARTS:
        for strokes, label in zip(*traced(part), strict=True):
            yield {"strokes": strokes, "text": str(label), "split": part}


def stroke_strings(folder):
    """Strokes of several digits side by side."""
    for place, (part, count) in enumerate(PARTS.items()):
        inks, labels = traced(part)
        generator = np.random.default_rng(place)
        for _ in range(count):
            chosen = generator.integers(len(inks), size=generator.integers(3, 8))
            strokes, left = [], 0.0
            for number in chosen:
                x = [point[0] for stroke in inks[number] for point in stroke]
                move = left - min(x)
                strokes += [[[a + move, b] for a, b in stroke] for stroke in inks[number]]
                left += max(x) - min(x) + generator.uniform(3, 8)
            text = "".join(str(labels[number]) for number in chosen)
            yield {"strokes": strokes, "text": text, "split": part}


def rendered_lines(folder):
    """Write lines of text in twelve fonts; `train.txt` has the texts to train on."""
    fonts = sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("DejaVuSans*.ttf"))
    fonts += sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("DejaVuSerif*.ttf"))
    fonts = [font for font in fonts if "Display" not in font.name]
    lines = [" ".join(line.split())[:60].strip() for line in builtin_text().content.split("\n")]
    lines = sorted({line for line in lines if len(line) > 20 and line.isascii()})
    generator = np.random.default_rng(0)
    generator.shuffle(lines)
    place = 0
    for part, count in PARTS.items():
        chosen, place = lines[place : place + count], place + count
        if part == "train":
            (folder / "train.txt").write_text("\n".join(chosen) + "\n")
        for number, text in enumerate(chosen):
            font, size = fonts[generator.integers(len(fonts))], generator.uniform(16, 26)
            path = f"{part}-{number:05}.png"
            how = Rendering(slant=0.2, blur=1.0, noise=0.15, fading=0.4)
            picture = render_line(text, font, size, generator, how)
            (folder / path).write_bytes(png_bytes(picture))
            yield {"path": path, "text": text, "split": part}


MADE = {
    "rendered-lines": rendered_lines,
    "digit-strings": digit_strings,
    "digits": digits,
    "digit-lines": digit_lines,
    "digit-strokes": digit_strokes,
    "stroke-strings": stroke_strings,
}


def main(name, folder):
    """Make a set, with its manifest."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = list(MADE[name](folder))
    if "strokes" in rows[0]:
        (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with (folder / "manifest.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    print(f"{len(rows):,} items: {folder}")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in MADE:
        sys.exit(__doc__)
    main(*sys.argv[1:])
