"""Sizes that fill no register, tile, block or piece, in every way that the loop can run."""

import pytest
import torch
from contract import (
    COMPILED,
    CORE,
    VARIED,
    assert_same,
    distance,
    draw,
    everything,
    marks,
    slow_but,
    widened,
)
from fresh import guarded_all, hoisted, poisoned, renamed
from odd_cells import ODD

from recurra.cells import CELLS
from recurra.engines.cpu.plan import tiling
from recurra.engines.cpu.run import compiled_loop

SIZES = (1, 2, 3, 5, 7, 9, 13, 17, 31, 33, 65, 100)
MIXED = list(zip(SIZES, SIZES[5:] + SIZES[:5], SIZES[9:] + SIZES[:9], strict=True))
FAMILIES = ["lstm", "gru", "rnn_relu", "gru_original"]


SHAPES = [  # every run has each size once, and each family with each number of steps
    pytest.param(
        FAMILIES[(place + turn) % 4],
        *sizes,
        (1, 3, 5)[(place + turn) % 3],
        marks=pytest.mark.slow if turn else (),
    )
    for place, sizes in enumerate(MIXED)
    for turn in range(3)
]


@pytest.mark.parametrize(("name", "hidden", "inputs", "batch", "steps"), SHAPES)
def test_sizes(name, hidden, inputs, batch, steps):
    """Below four steps weights are read where they lie, with nothing but NaN around them."""
    shape = {"hidden": hidden, "inputs": inputs, "batch": batch, "steps": steps}
    drawn = draw(CELLS[name], scale=0.3, **shape)
    assert_same(CELLS[name], guarded_all(drawn), reverse=bool(batch % 2))


@pytest.mark.parametrize("batch", [*range(1, 15), 47, 48, 49, 51, 97])
def test_rows_of_every_count(batch):
    """Tiles of 6, 3, 2 and 1 rows, in blocks of 48."""
    drawn = draw(CELLS["gru"], hidden=9, batch=batch, steps=4)
    assert_same(CELLS["gru"], guarded_all(drawn))
    drawn = draw(CELLS["gru"], hidden=9, batch=batch, steps=2)
    assert_same(CELLS["gru"], guarded_all(drawn))


@pytest.mark.parametrize("cache", [64, 3000])
@pytest.mark.parametrize("name", ["lstm", "gru_original", "lstm_projected"])
def test_panels_in_pieces(name, cache, monkeypatch):
    monkeypatch.setattr(tiling, "_NEAREST_CACHE", cache)
    cell = renamed(CELLS[name])
    assert_same(cell, draw(cell, hidden=21, inputs=11, batch=7, scale=0.3))


MATRICES = ("MatrixSum", "Twice", "Nested", "Deep")  # of these inputs need what no real cell does
BEFORE = ("rnn", "lstm", "lstm_projected", "gru_original", "sru", "slstm of 2 heads", *MATRICES)


@pytest.mark.parametrize("name", slow_but(BEFORE, VARIED | ODD))
def test_products_before_the_loop_and_in_it(name, monkeypatch):
    cell = (COMPILED | ODD)[name]
    lengths, resets = marks(6, 5)
    options = {"lengths": lengths, "resets": resets}
    drawn = draw(cell, hidden=38, scale=0.1)
    inside = everything(cell, "cpu", drawn, **options)
    hoisted(monkeypatch)
    before = everything(renamed(cell), "cpu", drawn, **options)
    assert distance(before, inside) < 1e-12
    assert distance(before, everything(cell, "interp", drawn, **options)) < 1e-12


@pytest.mark.parametrize("steps", [2, 40])
@pytest.mark.parametrize(
    "name", slow_but(["lstm", "Nested"], ["lstm", "gru", "Nested", "FactoredLSTM"])
)
def test_products_before_the_loop_at_other_sizes(name, steps, monkeypatch):
    hoisted(monkeypatch)
    cell = renamed((COMPILED | ODD)[name])
    drawn = guarded_all(draw(cell, hidden=9, inputs=13, batch=7, steps=steps))
    assert_same(cell, drawn)


def test_large_layers_choose_by_their_rows(monkeypatch):
    """Both choices are taken, and say the same."""
    monkeypatch.setattr(compiled_loop, "_LARGE", 10)
    cell = renamed(CELLS["lstm"])
    for batch in (3, 9):
        assert_same(cell, draw(cell, batch=batch))


POISONED = slow_but(
    ["lstm", "lstm_projected", "gru", "sru", "Half", "Delay"],
    [*CORE, "indrnn", "fastgrnn_low_rank", "sru", "Half", "Delay"],
)


@pytest.mark.parametrize("name", [*POISONED, "lstm whole", "gru whole"])
def test_memory_is_written_before_it_is_read(name, monkeypatch):
    name, _, rest = name.partition(" ")
    masked = not rest
    cell = (COMPILED | ODD)[name]
    lengths, resets = marks(6, 5) if masked else (None, None)
    for steps in (6, 1):
        drawn = draw(cell, hidden=6, steps=steps)
        options = {"lengths": lengths, "resets": resets} if steps == 6 else {}
        wanted = everything(cell, "cpu", drawn, **options)
        with monkeypatch.context() as patch:
            poisoned(patch)
            found = everything(cell, "cpu", drawn, **options)
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_gradients_through_two_thousand_steps(name):
    long = {"steps": 2000, "batch": 2, "scale": 0.35, "dtype": torch.float32}
    drawn = draw(CELLS[name], **long)
    found = everything(CELLS[name], "cpu", drawn)
    assert distance(found, everything(CELLS[name], "interp", widened(drawn))) < 1e-5
