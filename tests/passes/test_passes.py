"""Each pass by what it must leave true: values, counts of what is read, kept and computed when."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parent.parent / "engines"))
from contract import BUILT_IN, COMPILED, draw, marks
from odd_cells import ODD
from runs import run_cell

from recurra.cells import CELLS
from recurra.engines import Sequences
from recurra.engines.cpu.jit.cache import describe
from recurra.engines.interpreter import Interpreter, interpret
from recurra.ir import in_order
from recurra.passes import derive, gates, hoist, lower, norms, stash

HOISTED = COMPILED | ODD
SMALL = {"hidden": 4, "batch": 4}


def counted(nodes, op):
    return sum(n.op == op for n in in_order(tuple(nodes)))


@pytest.mark.parametrize("name", HOISTED)
def test_gates_change_no_value(name):
    params, x, states = draw(HOISTED[name], **SMALL)
    graph = HOISTED[name].graph()
    assert not counted(hoist(gates(norms(graph))).results, "gate")
    found = run_cell(Interpreter(gates(graph)), x, states, params)
    torch.testing.assert_close(found, run_cell(Interpreter(graph), x, states, params))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", HOISTED)
def test_hoist_changes_no_value(name, reverse):
    params, x, states = draw(HOISTED[name], **SMALL)
    interp = Interpreter(HOISTED[name].graph())
    loop = hoist(gates(norms(interp.graph)))
    check_loop(interp, loop, x, states, params, Sequences(len(x), reverse=reverse))


def check_loop(interp, loop, x, states, params, sequences):
    """The loop gives what its graph gives: outputs, last states, and those of every step."""
    inputs = interp.evaluate([o.node for o in loop.inputs], x, params)
    every, last = interpret(loop, inputs, states, sequences)
    wanted = interp.sequence(x, states, params, sequences)
    torch.testing.assert_close((every[0], last), wanted)
    _, wanted = interp.sequence(x, states, params, sequences._replace(every=True))
    torch.testing.assert_close(every, wanted)


def test_the_interpreted_loop_heeds_masks():
    params, x, states = draw(CELLS["lstm"], **SMALL)
    interp = Interpreter(CELLS["lstm"].graph())
    loop = hoist(gates(interp.graph))
    lengths, resets = marks(*x.shape[:2])
    check_loop(interp, loop, x, states, params, Sequences(len(x), False, lengths, resets))


def outside_of(cell):
    loop = hoist(gates(cell.graph()))
    return [(o.timed, o.parts) for o in loop.inputs]


def test_what_leaves_the_loop():
    assert sorted(outside_of(CELLS["lstm"])) == [(False, 4), (True, 4)]  # U; W x + b
    assert sorted(outside_of(CELLS["gru"])) == [
        (False, 1),
        (False, 3),
        (True, 3),
    ]  # b_h, U; W x + b
    assert sorted(outside_of(COMPILED["qrnn_f"])) == [(True, 1)] * 2  # f and (1 - f) z
    assert (True, 2) not in outside_of(ODD["Nested"])  # products of vectors that differ by gate
    assert all(parts == 1 for timed, parts in outside_of(COMPILED["sru"]) if timed and parts != 3)


def test_sums_are_ordered():
    """`h` enters first in the equations, and last in the loop."""
    (result,) = hoist(gates(COMPILED["antisymmetric_gated"].graph())).results
    sums = [n for n in in_order((result,)) if n.op in ("add", "sub")]
    first = [n.args[0].op for n in sums if n.args[1].op != "state"]
    assert "outer" in first


def test_a_scalar_is_read_once_for_each_size():
    scalars = [o for o in hoist(gates(ODD["TwoSizes"].graph())).inputs if not o.node.shape]
    assert len(scalars) == 2


def test_stash_keeps_what_a_product_made():
    assert len(lower(CELLS["lstm"].graph()).loops["forward"].saved) == 4
    assert len(lower(CELLS["gru"].graph()).loops["forward"].saved) == 4
    assert lower(CELLS["rnn"].graph()).loops["forward"].saved == ()  # the state is kept anyway
    assert lower(CELLS["lstm"].graph()).loops["inference"].saved == ()


def test_stash_leaves_forward_values_out_of_the_backward_loop():
    loop = hoist(gates(CELLS["gru_original"].graph()))
    _, backward = stash(loop, derive(loop))
    products = [n for n in in_order(backward.results) if n.op == "product"]
    assert products
    assert all(p.args[0].op == "transpose" for p in products)


def lengths_of(cell):
    schedules = lower(cell.graph()).schedules
    return len(schedules["forward"].phases), len(schedules["backward"].phases)


def test_phases_are_as_few_as_can_be():
    assert lengths_of(CELLS["lstm"]) == (1, 2)
    assert lengths_of(CELLS["gru"]) == (1, 2)
    assert lengths_of(CELLS["gru_original"]) == (2, 3)
    assert lengths_of(ODD["Deep"]) == (3, 4)


def test_products_that_are_only_added_share_a_sum():
    schedules = lower(CELLS["lstm"].graph()).schedules
    assert [len(s) for s in schedules["forward"].phases[0].sums] == [1, 1, 1, 1]
    assert [len(s) for s in schedules["backward"].phases[1].sums] == [4]


def test_lowering_is_the_same_each_time():
    first, second = (lower(CELLS["gru"].graph()) for _ in range(2))
    assert describe(first) == describe(second)
    assert BUILT_IN.keys() <= HOISTED.keys()
