"""The sixty networks of the bench: what each has, and what helps it."""

import dataclasses

from networks import (
    Case,
    adding,
    first,
    flip_flops,
    neighbours,
    paces,
    padded,
    parity,
    recall,
    text,
    waves,
)

from recurra.nn import init


def gate(name, value):
    """Set the bias of a gate in every layer."""

    def spoil(net):
        layer = net.recurrent
        place = layer.cell.gates.index(name)
        for key, own in layer.named_parameters():
            if key.startswith("b_l"):
                size = len(own) // len(layer.cell.gates)
                own[place * size : (place + 1) * size] = value

    return spoil


def scaled(gain):
    """Multiply every recurrent matrix."""

    def spoil(net):
        for key, own in net.recurrent.named_parameters():
            if key.startswith(("U_l", "u_l")):
                own.mul_(gain)

    return spoil


def gain(value):
    """Make every recurrent matrix orthogonal times a gain."""
    return lambda net: init.orthogonal_(net.recurrent, value)


def biased(value):
    """Set every bias."""

    def spoil(net):
        for key, own in net.recurrent.named_parameters():
            if key.startswith("b_l"):
                own.fill_(value)

    return spoil


def alike(net):
    """Make all units of a gate the same."""
    for own in net.recurrent.parameters():
        own.fill_(0.05)


def nothing(net):
    """Set every recurrent weight and input weight to zero."""
    for key, own in net.recurrent.named_parameters():
        if not key.startswith("b_l"):
            own.zero_()


def large(factor):
    """Multiply every weight of the layers."""

    def spoil(net):
        for key, own in net.recurrent.named_parameters():
            if not key.startswith("b_l"):
                own.mul_(factor)

    return spoil


def changed(**settings):
    """The case with other settings."""
    return lambda case: dataclasses.replace(case, **settings)


def clean(**settings):
    """The case without what was spoilt."""
    return changed(spoil=None, **settings)


ILL = (
    Case(
        "rnn small weights",
        recall(12),
        "rnn",
        spoil=scaled(0.3),
        seed=1,
        expected=("vanishing",),
        remedied=changed(spoil=gain(1.0)),
    ),
    Case(
        "rnn long recall",
        recall(20),
        "rnn",
        seed=2,
        expected=("vanishing",),
        remedied=changed(spoil=gain(1.0), steps=400),
    ),
    Case(
        "lstm closed forget gate",
        first(40),
        "lstm",
        spoil=gate("f", -3.0),
        seed=3,
        expected=("vanishing", "forget gate closed"),
        remedied=changed(spoil=gate("f", 3.0)),
    ),
    Case(
        "gru forgets",
        first(40),
        "gru",
        spoil=gate("z", -4.0),
        seed=4,
        expected=("vanishing", "forget gate closed"),
        remedied=changed(spoil=gate("z", 2.0)),
    ),
    Case(
        "mingru forgets",
        first(40),
        "mingru",
        spoil=gate("z", 4.0),
        seed=5,
        expected=("vanishing", "forget gate closed"),
        remedied=changed(spoil=gate("z", -2.0)),
    ),
    Case(
        "janet forgets",
        adding(40),
        "janet",
        spoil=gate("s", -4.0),
        seed=6,
        expected=("vanishing", "forget gate closed"),
        remedied=changed(spoil=gate("s", 3.0)),
    ),
    Case(
        "fastgrnn forgets",
        first(30),
        "fastgrnn",
        spoil=gate("z", -6.0),
        seed=7,
        expected=("vanishing", "forget gate closed"),
        remedied=changed(spoil=gate("z", 2.0)),
    ),
    Case(
        "indrnn forgets",
        first(40),
        "indrnn",
        spoil=scaled(0.3),
        seed=8,
        expected=("vanishing",),
        remedied=clean(),
    ),
    Case(
        "rnn explodes",
        paces(60),
        "rnn_relu",
        spoil=gain(2.2),
        seed=9,
        steps=3,
        clip=None,
        expected=("exploding", "unstable"),
        remedied=changed(spoil=gain(1.0), steps=200),
    ),
    Case(
        "irnn grows",
        waves(60),
        "irnn",
        spoil=gain(1.9),
        seed=10,
        steps=3,
        clip=None,
        expected=("exploding", "unstable"),
        remedied=changed(spoil=gain(0.9), steps=200),
    ),
    Case(
        "rnn chaotic",
        recall(3),
        "rnn",
        hidden=48,
        spoil=scaled(8.0),
        seed=11,
        expected=("chaotic", "exploding"),
        remedied=clean(),
    ),
    Case(
        "gru chaotic",
        waves(60),
        "gru",
        hidden=48,
        spoil=scaled(10.0),
        seed=12,
        steps=20,
        expected=("chaotic", "exploding"),
        remedied=clean(steps=200),
    ),
    Case(
        "relu dead",
        paces(40),
        "rnn_relu",
        spoil=biased(-6.0),
        seed=13,
        expected=("dead units",),
        remedied=clean(),
    ),
    Case(
        "irnn dead",
        waves(40),
        "irnn",
        spoil=biased(-4.0),
        seed=14,
        expected=("dead units",),
        remedied=clean(),
    ),
    Case(
        "inputs times 60",
        waves(50),
        "lstm",
        scale=60.0,
        seed=15,
        expected=("input scale",),
        remedied=changed(scale=1.0),
    ),
    Case(
        "inputs times 1e4",
        paces(50),
        "gru",
        scale=1e4,
        seed=16,
        expected=("input scale",),
        remedied=changed(scale=1.0),
    ),
    Case(
        "inputs times 1e-4",
        flip_flops(40),
        "gru",
        scale=1e-4,
        seed=17,
        expected=("input scale",),
        remedied=changed(scale=1.0),
    ),
    Case(
        "lstm output gate shut",
        waves(50),
        "lstm",
        spoil=gate("o", -9.0),
        seed=18,
        expected=("output gate closed",),
        remedied=clean(),
    ),
    Case(
        "lstm input gate shut",
        flip_flops(40),
        "lstm",
        spoil=gate("i", -9.0),
        seed=19,
        expected=("input gate closed",),
        remedied=clean(),
    ),
    Case(
        "gru never updates",
        paces(50),
        "gru",
        spoil=gate("z", 9.0),
        seed=20,
        expected=("update gate closed",),
        remedied=clean(),
    ),
    Case(
        "peephole input gate shut",
        waves(50),
        "lstm_peephole",
        spoil=gate("i", -9.0),
        seed=21,
        expected=("input gate closed",),
        remedied=clean(),
    ),
    Case(
        "identical units",
        flip_flops(40),
        "gru",
        spoil=alike,
        seed=22,
        steps=0,
        expected=("identical units",),
        remedied=clean(steps=200),
    ),
    Case(
        "zero weights",
        waves(40),
        "lstm",
        spoil=nothing,
        seed=23,
        steps=0,
        expected=("zero weights", "dead units"),
        remedied=clean(steps=200),
    ),
    Case(
        "twelve plain layers",
        recall(2),
        "rnn",
        layers=12,
        seed=24,
        steps=0,
        expected=("vanishing across layers",),
        remedied=clean(stack={"skip": "residual", "norm": "post"}, steps=200),
    ),
    Case(
        "eight plain layers",
        paces(30),
        "lstm",
        layers=8,
        seed=25,
        steps=60,
        expected=("vanishing across layers",),
        remedied=clean(stack={"skip": "residual", "norm": "post"}, steps=200),
    ),
    Case(
        "head at the wrong end",
        first(30),
        "lstm",
        bidirectional=True,
        reads="last",
        seed=26,
        expected=("direction read at its start",),
        remedied=changed(reads="mean", steps=300),
    ),
    Case(
        "padding read",
        padded(paces(60, ragged=True, reads="last")),
        "rnn",
        seed=27,
        expected=("padding read",),
        remedied=changed(problem=paces(60, ragged=True, reads="last")),
    ),
    Case(
        "short windows",
        recall(12, 48),
        "lstm",
        window=6,
        seed=28,
        steps=300,
        expected=("window too short", "vanishing"),
        remedied=changed(window=None, steps=600),
    ),
    Case(
        "rate too high",
        waves(50),
        "lstm",
        rate=1.0,
        seed=29,
        steps=60,
        expected=("weights too large", "clipping"),
        remedied=changed(rate=3e-3, steps=200),
    ),
    Case(
        "weights too large",
        paces(50),
        "rnn",
        spoil=large(15.0),
        seed=30,
        expected=("weights too large", "saturated tanh", "chaotic"),
        remedied=clean(),
    ),
)

HEALTHY = (
    Case("waves rnn", waves(60), "rnn", seed=101, steps=1500),
    Case("waves lstm", waves(60), "lstm", seed=102, steps=1500),
    Case("waves gru, 150 steps", waves(150), "gru", seed=103, steps=1500),
    Case("waves mingru", waves(60), "mingru", layers=2, seed=104, steps=1500),
    Case("waves indrnn", waves(60), "indrnn", layers=2, seed=105, steps=1500),
    Case("recall 1 rnn", recall(1), "rnn", seed=106, steps=1500),
    Case("recall 3 gru", recall(3), "gru", hidden=32, seed=107, steps=3000),
    Case("recall 5 lstm", recall(5), "lstm", hidden=48, seed=108, steps=4000),
    Case("first of 40 lstm", first(40), "lstm", spoil=gate("f", 3.0), seed=109, steps=3000),
    Case("first of 40 gru", first(40), "gru", spoil=gate("z", 3.0), seed=110, steps=3000),
    Case("first of 60, chrono lstm", first(60), "lstm", seed=111, steps=3000,
         spoil=lambda net: init.chrono_(net.recurrent, 60)),
    Case("first of 30 ornn", first(30), "ornn", seed=112, steps=3000),
    Case("adding 30 lstm", adding(30), "lstm", spoil=gate("f", 2.0), seed=113, steps=5000,
         rate=5e-3),
    Case("adding 30 gru", adding(30), "gru", seed=114, steps=5000, rate=5e-3),
    Case("adding 40 irnn", adding(40), "irnn", seed=115, steps=5000),
    Case("flip-flops rnn", flip_flops(60), "rnn", seed=116, steps=3000),
    Case("flip-flops gru", flip_flops(60), "gru", seed=117, steps=3000),
    Case("flip-flops lstm", flip_flops(60), "lstm", seed=118, steps=3000),
    Case("flip-flops mgu", flip_flops(60), "mgu", seed=119, steps=3000),
    Case("parity lstm", parity(16), "lstm", seed=120, steps=6000, rate=1e-2),
    Case("parity gru", parity(16), "gru", seed=121, steps=6000, rate=1e-2),
    Case("neighbours, two directions", neighbours(30), "gru", bidirectional=True, seed=122,
         steps=3000),
    Case("neighbours, two directions, rnn", neighbours(30), "rnn", bidirectional=True, seed=123,
         steps=3000),
    Case("paces, mean", paces(50), "rnn", seed=124, steps=2000),
    Case("paces, ragged, mean", paces(60, ragged=True), "gru", seed=125, steps=2000),
    Case("paces, ragged, last", paces(60, ragged=True, reads="last"), "lstm", seed=126, steps=3000),
    Case("paces, slstm", paces(50), "slstm", seed=127, steps=2000),
    Case("text lstm", text(), "lstm", hidden=48, seed=128, steps=1500, quality=0.6),
    Case("text gru, two layers", text(), "gru", hidden=48, layers=2, seed=129, steps=1500,
         quality=0.6),
    Case("six layers, residual", waves(60), "rnn", layers=6, seed=130, steps=1500,
         stack={"skip": "residual", "norm": "post"}),
)  # fmt: skip
