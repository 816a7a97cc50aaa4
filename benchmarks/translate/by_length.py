"""BLEU by the length of the source, of every run of a comparison: a picture, and its numbers.

python by_length.py COMPARISON SOURCES TARGETS PICTURE.png
"""

import re
import sys
from pathlib import Path
from statistics import fmean

import recurra
from recurra.plots import image
from recurra.plots.figure import add_title, line_style, new_figure, styled

TITLE = "By the length of the source"


def curve(run, files):
    """The middle of each range of lengths, and its figure."""
    evaluation = recurra.load(run).evaluate(files)
    (table,) = [section.content for section in evaluation.sections if section.title == TITLE]
    middles = [fmean(map(int, re.findall(r"\d+", row[0]))) for row in table.rows]
    return middles, [float(row[2]) for row in table.rows]


@styled
def drawn(curves):
    """A line for each run."""
    figure = new_figure(7, 4)
    axes = figure.subplots()
    for index, (name, (lengths, scores)) in enumerate(curves.items()):
        axes.plot(lengths, scores, label=name, **line_style(index))
    axes.set_xlabel("tokens of the source")
    axes.set_ylabel("BLEU")
    axes.legend()
    add_title(figure, "BLEU by the length of the source")
    return figure


def main(comparison, sources, targets, picture):
    """Evaluate, print, and draw."""
    runs = sorted(Path(comparison, "runs").glob("*-0"))
    curves = {run.name.removesuffix("-0"): curve(run, [sources, targets]) for run in runs}
    for name, (lengths, scores) in curves.items():
        print(name, *(f"{a:g}: {b:.1f}" for a, b in zip(lengths, scores, strict=True)))
    Path(picture).write_bytes(image(drawn(curves), "png"))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
