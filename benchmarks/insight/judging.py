"""Sixty other networks, which were read once, when all thresholds stood."""

import dataclasses
import keyword

import torch
from cases import alike, biased, changed, clean, gain, gate, large, nothing, scaled
from networks import Case, Problem, nats, padded, squares
from torch.nn import functional

from recurra.nn import init


def averages(width, steps=50):
    """Say at every step the mean of the last `width` numbers."""

    def draw(g, rows):
        x = torch.randn(steps, rows, 1, generator=g)
        sums = functional.pad(x.cumsum(0), (0, 0, 0, 0, width, 0))
        return (x,), (sums[width:] - sums[:-width]) / width

    return Problem(draw, squares, 1, 1)


def majority(steps=31, reads="last"):
    """Which of two symbols came more often."""

    def draw(g, rows):
        bits = (torch.rand(steps, rows, generator=g) < torch.rand(rows, generator=g)).long()
        return (functional.one_hot(bits, 2).float(),), (2 * bits.sum(0) > steps).long()

    return Problem(draw, nats, 2, 2, reads)


def brackets(steps=40):
    """How many brackets are open, up to four, at every step."""

    def draw(g, rows):
        depth, opens, found = torch.zeros(rows, dtype=torch.long), [], []
        for _ in range(steps):
            up = (torch.rand(rows, generator=g) < 0.5) & (depth < 4) | (depth == 0)
            depth = depth + torch.where(up, 1, -1)
            opens.append(up.long())
            found.append(depth)
        return (functional.one_hot(torch.stack(opens), 2).float(),), torch.stack(found)

    return Problem(draw, nats, 2, 5)


def logistic(steps=50):
    """The next value of the logistic map, which one step decides."""

    def draw(g, rows):
        x = [0.1 + 0.8 * torch.rand(rows, generator=g)]
        for _ in range(steps):
            x.append(3.8 * x[-1] * (1 - x[-1]))
        whole = torch.stack(x).unsqueeze(-1)
        return (2 * whole[:-1] - 1,), whole[1:]

    return Problem(draw, squares, 1, 1)


def marked(steps):
    """The one number that was marked, at the end."""

    def draw(g, rows):
        values = torch.randn(steps, rows, generator=g)
        place = torch.randint(0, steps // 3, (rows,), generator=g)
        marks = torch.zeros(steps, rows)
        marks[place, torch.arange(rows)] = 1
        return (torch.stack([values, marks], -1),), (values * marks).sum(0).unsqueeze(1)

    return Problem(draw, squares, 2, 1, "last")


def echo(distance, steps=48):
    """Repeat a number of so many steps ago."""

    def draw(g, rows):
        x = torch.randn(steps, rows, 1, generator=g)
        return (x,), functional.pad(x, (0, 0, 0, 0, distance, 0))[:steps]

    return Problem(draw, squares, 1, 1)


def smoothing(steps=30):
    """The mean of a step and its two neighbours: for two directions."""

    def draw(g, rows):
        x = torch.randn(steps, rows, 1, generator=g)
        wide = functional.pad(x, (0, 0, 0, 0, 1, 1))
        return (x,), (wide[:-2] + wide[1:-1] + wide[2:]) / 3

    return Problem(draw, squares, 1, 1)


def counts(steps=40, *, ragged=True, reads="last"):
    """Whether symbol 0 came more often than symbol 1, of three, in rows of several lengths."""

    def draw(g, rows):
        lean = torch.randint(0, 2, (rows,), generator=g)
        chance = torch.rand(steps, rows, generator=g)
        ids = torch.where(chance < 0.5, lean, torch.randint(0, 3, (steps, rows), generator=g))
        x = functional.one_hot(ids, 3).float()
        if not ragged:
            return (x,), lean
        lengths = torch.randint(steps // 3, steps + 1, (rows,), generator=g)
        inside = (torch.arange(steps).view(-1, 1) < lengths).unsqueeze(-1)
        return (x * inside, lengths), lean

    return Problem(draw, nats, 3, 2, reads)


def topics(steps=40):
    """The next character of Python's keywords and of how `dataclass` explains itself."""
    words = " ".join(keyword.kwlist) + " " + " ".join(str(dataclasses.dataclass.__doc__).split())
    book = 3 * (words.lower() + " ")
    known = sorted(set(book))
    ids = torch.tensor([known.index(c) for c in book])

    def draw(g, rows):
        begins = torch.randint(0, len(ids) - steps - 1, (rows,), generator=g)
        window = torch.stack([ids[b : b + steps + 1] for b in begins.tolist()], 1)
        return (functional.one_hot(window[:-1], len(known)).float(),), window[1:]

    return Problem(draw, nats, len(known), len(known))


ILL = (
    Case(
        "echo, small weights",
        echo(10),
        "rnn",
        spoil=scaled(0.2),
        seed=201,
        expected=("vanishing",),
        remedied=changed(spoil=gain(1.0)),
    ),
    Case(
        "echo 15, rnn",
        echo(15),
        "rnn",
        hidden=16,
        seed=202,
        expected=("vanishing",),
        remedied=changed(spoil=gain(1.0), steps=400),
    ),
    Case(
        "mark, lstm forgets",
        marked(50),
        "lstm",
        spoil=gate("f", -4.0),
        seed=203,
        expected=("vanishing", "forget gate closed"),
        remedied=changed(spoil=gate("f", 3.0)),
    ),
    Case(
        "mark, coupled lstm forgets",
        marked(45),
        "lstm_coupled",
        spoil=gate("f", -3.0),
        seed=204,
        expected=("vanishing", "forget gate closed"),
        remedied=changed(spoil=gate("f", 3.0)),
    ),
    Case(
        "mark, mgu forgets",
        marked(45),
        "mgu",
        spoil=gate("f", 4.0),
        seed=205,
        expected=("vanishing", "forget gate closed"),
        remedied=changed(spoil=gate("f", -2.0)),
    ),
    Case(
        "mark, ugrnn forgets",
        marked(45),
        "ugrnn",
        spoil=gate("g", -4.0),
        seed=206,
        expected=("vanishing", "forget gate closed"),
        remedied=changed(spoil=gate("g", 2.0)),
    ),
    Case(
        "echo, minlstm forgets",
        echo(12),
        "minlstm",
        spoil=gate("f", -6.0),
        seed=207,
        expected=("vanishing", "forget gate closed"),
        remedied=changed(spoil=gate("f", 2.0)),
    ),
    Case(
        "mark, qrnn forgets",
        marked(45),
        "qrnn_fo",
        spoil=gate("f", -5.0),
        seed=208,
        expected=("vanishing", "forget gate closed"),
        remedied=changed(spoil=gate("f", 2.0)),
    ),
    Case(
        "brackets explode",
        brackets(),
        "rnn_relu",
        spoil=gain(2.5),
        seed=209,
        steps=2,
        clip=None,
        expected=("exploding", "unstable"),
        remedied=changed(spoil=gain(0.8), steps=200),
    ),
    Case(
        "averages grow",
        averages(5),
        "irnn",
        spoil=scaled(1.3),
        seed=210,
        steps=2,
        clip=None,
        expected=("exploding", "unstable"),
        remedied=clean(steps=200),
    ),
    Case(
        "echo, chaos",
        echo(2),
        "rnn",
        hidden=64,
        spoil=scaled(6.0),
        seed=211,
        expected=("chaotic", "exploding"),
        remedied=clean(),
    ),
    Case(
        "averages, chaotic lstm",
        averages(4),
        "lstm",
        hidden=64,
        spoil=scaled(12.0),
        seed=212,
        steps=10,
        expected=("chaotic", "exploding", "weights too large"),
        remedied=clean(steps=200),
    ),
    Case(
        "majority, dead",
        majority(),
        "rnn_relu",
        spoil=biased(-8.0),
        seed=213,
        expected=("dead units",),
        remedied=clean(),
    ),
    Case(
        "brackets, dead",
        brackets(),
        "irnn",
        spoil=biased(-5.0),
        seed=214,
        expected=("dead units",),
        remedied=clean(),
    ),
    Case(
        "counts times 500",
        counts(ragged=False),
        "lstm",
        scale=500.0,
        seed=215,
        expected=("input scale",),
        remedied=changed(scale=1.0),
    ),
    Case(
        "echo times 100",
        echo(2),
        "rnn",
        scale=100.0,
        seed=216,
        expected=("input scale",),
        remedied=changed(scale=1.0),
    ),
    Case(
        "averages times 1e-4",
        averages(4),
        "lstm",
        scale=1e-4,
        seed=217,
        expected=("input scale",),
        remedied=changed(scale=1.0),
    ),
    Case(
        "brackets, output shut",
        brackets(),
        "lstm_peephole",
        spoil=gate("o", -10.0),
        seed=218,
        expected=("output gate closed",),
        remedied=clean(),
    ),
    Case(
        "averages, input shut",
        averages(4),
        "lstm",
        spoil=gate("i", -8.0),
        seed=219,
        expected=("input gate closed",),
        remedied=clean(),
    ),
    Case(
        "majority, gru stands still",
        majority(),
        "gru_original",
        spoil=gate("z", 8.0),
        seed=220,
        expected=("update gate closed",),
        remedied=clean(),
    ),
    Case(
        "echo, mgu stands still",
        echo(2),
        "mgu",
        spoil=gate("f", -9.0),
        seed=221,
        expected=("update gate closed",),
        remedied=clean(),
    ),
    Case(
        "brackets, units alike",
        brackets(),
        "lstm",
        spoil=alike,
        seed=222,
        steps=0,
        expected=("identical units",),
        remedied=clean(steps=200),
    ),
    Case(
        "majority, no weights",
        majority(),
        "gru",
        spoil=nothing,
        seed=223,
        steps=0,
        expected=("zero weights", "dead units"),
        remedied=clean(steps=200),
    ),
    Case(
        "ten plain layers",
        averages(4),
        "rnn",
        layers=10,
        seed=224,
        steps=0,
        expected=("vanishing across layers",),
        remedied=clean(stack={"skip": "residual", "norm": "post"}, steps=200),
    ),
    Case(
        "ten lstm layers",
        brackets(),
        "lstm",
        layers=10,
        seed=225,
        steps=30,
        expected=("vanishing across layers",),
        remedied=clean(stack={"skip": "residual", "norm": "post"}, steps=200),
    ),
    Case(
        "majority at the wrong end",
        majority(31),
        "gru",
        bidirectional=True,
        seed=226,
        expected=("direction read at its start",),
        remedied=changed(reads="mean", steps=300),
    ),
    Case(
        "counts, padding read",
        padded(counts()),
        "gru",
        seed=227,
        steps=60,
        expected=("padding read",),
        remedied=changed(problem=counts()),
    ),
    Case(
        "echo, short windows",
        echo(10),
        "gru",
        window=5,
        seed=228,
        steps=300,
        expected=("window too short", "vanishing"),
        remedied=changed(window=None, steps=600),
    ),
    Case(
        "brackets, rate too high",
        brackets(),
        "gru",
        rate=2.0,
        seed=229,
        steps=60,
        expected=("weights too large", "clipping"),
        remedied=changed(rate=3e-3, steps=200),
    ),
    Case(
        "counts, weights too large",
        counts(ragged=False),
        "gru",
        spoil=large(25.0),
        seed=230,
        steps=20,
        expected=("weights too large", "chaotic"),
        remedied=clean(steps=200),
    ),
)

HEALTHY = (
    Case("averages rnn", averages(4), "rnn", seed=301, steps=4000),
    Case("averages lstm", averages(5), "lstm", seed=302, steps=4000),
    Case("averages, 120 steps", averages(3, 120), "gru", seed=303, steps=4000),
    Case("averages mgu", averages(3), "mgu", seed=304, steps=4000),
    Case("logistic rnn", logistic(), "rnn", seed=305, steps=4000),
    Case("logistic lstm", logistic(), "lstm", seed=306, steps=4000),
    Case("logistic ugrnn", logistic(), "ugrnn", seed=307, steps=4000),
    Case("logistic qrnn", logistic(), "qrnn_fo", seed=308, steps=4000),
    Case("majority gru", majority(), "gru", seed=309, steps=4000, quality=0.25),
    Case("majority lstm, mean", majority(reads="mean"), "lstm", seed=310, steps=4000,
         quality=0.25),
    Case("majority rnn", majority(), "rnn", seed=311, steps=4000, quality=0.25),
    Case("majority irnn", majority(), "irnn", seed=312, steps=4000, quality=0.25),
    Case("brackets lstm", brackets(), "lstm", seed=313, steps=4000),
    Case("brackets gru", brackets(), "gru", seed=314, steps=4000),
    Case("brackets rnn", brackets(), "rnn", seed=315, steps=4000),
    Case("brackets coupled lstm", brackets(), "lstm_coupled", seed=316, steps=4000),
    Case("brackets, layer norm", brackets(), "lstm_layernorm", seed=317, steps=4000),
    Case("mark of 30, lstm", marked(30), "lstm", spoil=gate("f", 3.0), seed=318, steps=6000),
    Case("mark of 30, chrono gru", marked(30), "gru", seed=319, steps=6000,
         spoil=lambda net: init.chrono_(net.recurrent, 30)),
    Case("mark of 24, mingru", marked(24), "mingru", layers=2, spoil=gate("z", -3.0), seed=320,
         steps=6000),
    Case("echo 2 rnn", echo(2), "rnn", hidden=32, seed=321, steps=4000),
    Case("echo 4 lstm", echo(4), "lstm", hidden=48, seed=322, steps=6000),
    Case("echo 1 indrnn, two layers", echo(1), "indrnn", layers=2, hidden=32, seed=323,
         steps=4000),
    Case("smoothing, two directions", smoothing(), "lstm", bidirectional=True, seed=324,
         steps=3000),
    Case("smoothing, two layers of two", smoothing(), "gru", bidirectional=True, layers=2,
         seed=325, steps=3000),
    Case("counts, ragged", counts(), "gru", seed=326, steps=4000, quality=0.3),
    Case("counts, ragged mean", counts(reads="mean"), "lstm", seed=327, steps=4000, quality=0.3),
    Case("keywords lstm", topics(), "lstm", hidden=48, seed=328, steps=3000, quality=0.5),
    Case("keywords slstm", topics(), "slstm", hidden=48, seed=329, steps=3000, quality=0.5),
    Case("five layers, residual", averages(3), "gru", layers=5, seed=330, steps=3000,
         stack={"skip": "residual", "norm": "post"}),
)  # fmt: skip
