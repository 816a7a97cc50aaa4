"""Every verifier passes what its pass makes of every cell, and finds each fault planted in it."""

import inspect
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "engines"))
from contract import COMPILED
from odd_cells import ODD

from recurra import passes
from recurra.cells import CELLS
from recurra.ir import Node, Size, Store, in_order, rewrite
from recurra.passes import (
    derive,
    find_affine,
    fuse,
    gates,
    hoist,
    lower,
    merge,
    simplify_loop,
    stash,
)
from recurra.passes.derive import clip
from recurra.passes.projections import input_gradient, input_product
from recurra.passes.verify import VERIFIERS, verify, verify_single_phase

SIZE = Size("hidden_size")
H = Node("state", (), "h", (SIZE,))
WIDE = Node("state", (), "h", (Size("proj_size"),))


@pytest.mark.parametrize("name", COMPILED | ODD)
def test_every_pass_keeps_its_promises(name, monkeypatch):
    ran = []
    counted = {k: lambda *a, k=k, f=f: (f(*a), ran.append(k)) for k, f in VERIFIERS.items()}
    monkeypatch.setattr(passes, "VERIFIERS", counted)
    monkeypatch.setenv("RECURRA_DEBUG", "3")
    monkeypatch.setattr(sys.modules["recurra.passes.phases"], "fuse", verified_fuse)
    lowered = lower((COMPILED | ODD)[name].graph())
    assert dict(lowered.schedules).keys() == lowered.loops.keys()  # each is found when asked for
    assert set(ran) >= VERIFIERS.keys() - {"merge", "fuse", "clip"}
    assert ("merge" in ran) == bool(lowered.affine)


def verified_fuse(nodes):
    found = fuse(nodes)
    VERIFIERS["fuse"](nodes, found)
    return found


def test_nothing_is_verified_unless_asked_for(monkeypatch):
    monkeypatch.setattr(passes, "VERIFIERS", {})
    monkeypatch.setenv("RECURRA_DEBUG", "2")
    assert lower(CELLS["lstm"].graph()).loops


def test_every_pass_has_a_verifier():
    functions = {n for n in passes.__all__ if inspect.isfunction(getattr(passes, n))}
    assert functions - {"lower", "find_affine"} == VERIFIERS.keys()


def graphs(name="lstm"):
    graph = (COMPILED | ODD)[name].graph()
    return graph, gates(graph)


def loops(name="lstm"):
    loop = hoist(gates((COMPILED | ODD)[name].graph()))
    return loop, derive(loop)


def with_result(thing, node):
    return replace(thing, results=(node, *thing.results[1:]))


def with_phase(schedule, index, **changes):
    found = list(schedule.phases)
    found[index] = replace(found[index], **changes)
    return replace(schedule, phases=tuple(found))


def fault(given, found, message, name):
    with pytest.raises(ValueError, match=message):
        VERIFIERS[name](*given, found)


def test_gates():
    graph, _ = graphs("MatrixSum")
    fault((graph,), graph, "a gate is taken of", "gates")
    graph, found = graphs()
    fault((graph,), replace(found, states=("h", "d")), "aren't what they were|can't", "gates")


def test_simplify():
    _, graph = graphs()
    more = Node("tanh", graph.results[:1], None, (SIZE,))
    fault((graph,), with_result(graph, more), "more than before", "simplify")
    fault((graph,), with_result(graph, WIDE), "result h has shape|can't have shape", "simplify")
    foreign = Node("param", (), ("b", None), (Size("hidden_size", 4),))
    stranger = Node("gate", (foreign,), (0, "i"), (SIZE,))
    fault((graph,), with_result(graph, stranger), "wasn't read before", "simplify")


def test_hoist():
    graph, _ = graphs()
    loop = hoist(gates(graph))
    inside = Node("outer", (), (0, 0), (SIZE,))
    idle = Node("add", (Node("tanh", (inside,), None, (SIZE,)), loop.results[0]), None, (SIZE,))
    fault((graph,), with_result(loop, idle), "needs no state", "hoist")
    unread = replace(loop, inputs=(*loop.inputs, loop.inputs[0]))
    fault((graph,), unread, "isn't read", "hoist")
    late = replace(loop.inputs[-1], node=H)
    fault((graph,), replace(loop, inputs=(*loop.inputs[:-1], late)), "needs a state", "hoist")
    untimed = tuple(replace(o, timed=not o.timed) for o in loop.inputs)
    fault((graph,), replace(loop, inputs=untimed), "what is timed", "hoist")
    cut = tuple(replace(o, blocks=o.blocks + 1) for o in loop.inputs)
    fault((graph,), replace(loop, inputs=cut), "a value of 1 blocks has 2", "hoist")
    param = Node("param", (), ("b", "i"), (SIZE,))
    fault((graph,), with_result(loop, param), "reads `param`", "hoist")


@pytest.mark.parametrize("name", ["lstm", "fastrnn", "indrnn"])
def test_derive(name):
    loop, backward = loops(name)
    for index in range(len(backward.emissions)):
        left = backward.emissions[:index] + backward.emissions[index + 1 :]
        fault((loop,), replace(backward, emissions=left), "0 emissions", "derive")
    twice = (*backward.emissions, backward.emissions[0])
    fault((loop,), replace(backward, emissions=twice), "2 emissions", "derive")
    fault((loop,), with_result(backward, WIDE), "gets", "derive")
    forward = replace(backward, backward=False)
    fault((loop,), forward, "can't|go back", "derive")


def test_derive_finds_a_wrong_operand():
    loop, backward = loops()
    other = tuple(replace(e, operand=backward.results[0]) for e in backward.emissions)
    fault((loop,), replace(backward, emissions=other), "wrong operand", "derive")


def test_simplify_loop():
    loop, backward = loops()
    backward = stash(loop, backward)[1]
    found = simplify_loop(backward)
    VERIFIERS["simplify_loop"](backward, found)
    fault(
        (backward,), replace(found, emissions=found.emissions[1:]), "zip|shorter", "simplify_loop"
    )
    moved = (replace(found.emissions[0], outer=(0, 0)), *found.emissions[1:])
    if moved != found.emissions:
        wrong = (replace(found.emissions[0], kind="vector"), *found.emissions[1:])
        fault((backward,), replace(found, emissions=wrong), "aren't what", "simplify_loop")
    stranger = Node("saved", (), 99, (SIZE,))
    fault((backward,), with_result(found, stranger), "wasn't read before", "simplify_loop")


def test_stash():
    given = loops("gru_original")
    forward, backward = stash(*given)
    unread = replace(forward, saved=(*forward.saved, given[0].results[0]))
    fault(given, (unread, backward), "isn't read", "stash")
    fault(given, (replace(forward, saved=forward.saved[:-1]), backward), "no kept value", "stash")
    stray = (*forward.saved[:-1], Node("tanh", (H,), None, (SIZE,)))
    fault(given, (replace(forward, saved=stray), backward), "isn't of the forward", "stash")
    loose = tuple(replace(e, operand=e.operand and backward.results[0]) for e in backward.emissions)
    fault(given, (forward, replace(backward, emissions=loose)), "as a whole", "stash")
    fault(
        given, (forward, with_result(backward, Node("input", (), None, (SIZE,)))), "reads", "stash"
    )


@pytest.mark.parametrize("name", COMPILED | ODD)
def test_clip(name):
    loop = lower((COMPILED | ODD)[name].graph()).loops["backward"]
    found = clip(loop)
    VERIFIERS["clip"](loop, found)
    fault((loop,), loop, "no limit", "clip")
    fault((loop,), replace(loop, inputs=found.inputs), "isn't read", "clip")
    bare = replace(found, results=loop.results, emissions=found.emissions)
    if any(n.op == "outer" for e in found.emissions for n in in_order((e.node,))):
        fault((loop,), bare, "isn't limited|isn't read", "clip")


def merged(name="lstm"):
    loop, backward = loops(name)
    forward, backward = stash(loop, backward)
    outside, affine = find_affine(loop.inputs, CELLS[name].graph().params)
    forward = replace(forward, inputs=outside)
    return forward, affine, merge(forward, affine)


def test_merge():
    loop, affine, found = merged()
    fault((loop, affine), loop, "is still read", "merge")
    fault((loop, affine), with_result(found, WIDE), "became|gets", "merge")
    fault((loop, affine), replace(found, saved=found.saved[1:]), "zip|shorter", "merge")


def test_fuse():
    (result, *_) = loops()[0].results
    sums, (rest,) = fuse((result,))
    fault(((result,),), (sums[1:], (rest,)), "in one sum|no sum", "fuse")
    fault(((result,),), (sums, (result,)), "is in no sum", "fuse")
    fault(((result,),), (((H,), *sums[1:]), (rest,)), "is not a product", "fuse")
    (other,) = rewrite((rest,), lambda n: replace(n, detail=0) if n.op == "sum" else n)
    fault(((result,),), (sums, (other,)), "a sum isn't read", "fuse")


def scheduled(name, kind):
    lowered = lower((COMPILED | ODD)[name].graph())
    assert dict(lowered.schedules).keys() == lowered.loops.keys()  # each is found when asked for
    return lowered.loops[kind], lowered.schedules[kind]


def test_phases_out_of_order():
    loop, schedule = scheduled("lstm", "backward")
    turned = replace(schedule, phases=schedule.phases[::-1])
    fault((loop,), turned, "before it is written", "phases")
    fault((loop,), replace(schedule, phases=schedule.phases[1:]), "before it is written", "phases")
    fault((loop,), replace(schedule, phases=schedule.phases[:1]), "isn't written", "phases")


def test_phases_that_miss_a_store():
    loop, schedule = scheduled("lstm", "forward")
    stores = schedule.phases[0].stores
    for index in range(len(stores)):
        fewer = with_phase(schedule, 0, stores=stores[:index] + stores[index + 1 :])
        fault((loop,), fewer, "isn't written", "phases")
    loop, schedule = scheduled("indrnn", "backward")
    found = [[s for s in p.stores if not s.buffer.startswith("grad")] for p in schedule.phases]
    fewer = replace(
        schedule,
        phases=tuple(map(lambda p, s: replace(p, stores=tuple(s)), schedule.phases, found)),
    )
    fault((loop,), fewer, "written nowhere", "phases")


def test_phases_of_one_size():
    loop, schedule = scheduled("lstm", "forward")
    phase = schedule.phases[0]
    fault((loop,), with_phase(schedule, 0, size=Size("proj_size")), "of its phase's size", "phases")
    stray = (*phase.stores, Store("temp:9", 0, WIDE))
    fault((loop,), with_phase(schedule, 0, stores=stray), "of its phase's size", "phases")


def test_phases_whose_products_are_in_no_sum():
    loop, schedule = scheduled("lstm", "forward")
    phase = schedule.phases[0]
    fault((loop,), with_phase(schedule, 0, sums=phase.sums[1:]), "there is no sum", "phases")
    loose = (replace(phase.stores[0], node=loop.results[0]), *phase.stores[1:])
    fault((loop,), with_phase(schedule, 0, stores=loose), "is in no sum", "phases")


def test_phases_that_read_what_is_overwritten():
    loop, schedule = scheduled("Chain", "backward")
    last = schedule.phases[-1]
    stale = Node("adjoint", (), "c", (SIZE,))
    stores = (replace(last.stores[0], buffer="temp:9", node=stale),)
    broken = replace(schedule, phases=(*schedule.phases, replace(last, stores=stores, sums=())))
    fault((loop,), broken, "read too late", "phases")
    product = last.sums[0][0]
    bare = replace(product, args=(product.args[0], stale))
    news = [s.buffer for s in last.stores]
    assert any(b.startswith("next:") for b in news)
    target = (*last.stores, replace(last.stores[0], buffer="next:c"))
    broken = with_phase(schedule, -1, sums=((bare,), *last.sums[1:]), stores=target)
    fault((loop,), broken, "as it is replaced|read too late", "phases")


@pytest.mark.parametrize("name", COMPILED | ODD)
def test_products_around_the_loop(name):
    lowered = lower((COMPILED | ODD)[name].graph())
    assert dict(lowered.schedules).keys() == lowered.loops.keys()  # each is found when asked for
    outside = lowered.loops["forward"].inputs
    for affine in lowered.affine:
        verify_single_phase(input_product(outside, affine)[1])
    for vector in {v for a in lowered.affine for _, v in a.terms}:
        found = input_gradient(outside, lowered.affine, vector)
        assert found is not None
        verify_single_phase(found[1])


def test_products_around_the_loop_read_no_state():
    lowered = lower(CELLS["lstm"].graph())
    _, schedule = input_product(lowered.loops["forward"].inputs, lowered.affine[0])
    (phase,) = schedule.phases
    wide = Node("state", (), "h", phase.stores[0].node.shape)
    stores = (replace(phase.stores[0], node=wide),)
    with pytest.raises(ValueError, match="where there is no step"):
        verify_single_phase(with_phase(schedule, 0, stores=stores))


def test_verify_finds_faults_of_a_loop():
    loop = lower(CELLS["lstm"].graph()).loops["forward"]
    stray, foreign = Node("outer", (), (9, None), (SIZE,)), Node("seed", (), "h", (SIZE,))
    for bad in (stray, foreign, WIDE, Node("state", (), "q", (SIZE,))):
        with pytest.raises(ValueError, match=r"there is no|reads|gets"):
            verify(with_result(loop, bad))
    bad = Node("add", (H, WIDE), None, (SIZE,))
    with pytest.raises(ValueError, match="`add` of"):
        verify(with_result(loop, bad))
    products = [n for n in in_order(loop.results) if n.op == "product"]
    with pytest.raises(ValueError, match="a product of"):
        verify(with_result(loop, replace(products[0], args=(products[0].args[0], WIDE))))
