"""Autograd's rules: graphs kept or freed, saved tensors, checkpoints, changes in between."""

import pytest
import torch
from torch.autograd.graph import save_on_cpu, saved_tensors_hooks
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint

from helpers.citizens import (
    CELLS,
    KINDS,
    TORCH_LAYERS,
    close,
    flat,
    gradients,
    layer,
    loss,
    oracle,
    torch_twin,
)


def given(kind, **options):
    module = layer(kind, **options)
    return module, torch.randn(5, 2, 3), oracle(module, kind, **options)


@pytest.mark.parametrize("use_reentrant", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_checkpointing(kind, use_reentrant):
    module, x, twin = given(kind)
    wanted = gradients(twin, x.double())
    x.requires_grad_()
    # The reentrant kind sees no tensors inside nested tuples.
    loss(checkpoint(lambda x: tuple(flat(module(x))), x, use_reentrant=use_reentrant)).backward()
    close(x.grad, wanted["x"])
    close([p.grad for _, p in module.named_parameters()], list(wanted.values())[1:])


def test_checkpointed_twice_over():
    module, x, twin = given("gru")
    wanted = gradients(twin, x.double())
    x.requires_grad_()

    def inner(x):
        return checkpoint(module, x, use_reentrant=False)

    loss(checkpoint(inner, x, use_reentrant=False)).backward()
    close(x.grad, wanted["x"])


@pytest.mark.parametrize("kind", KINDS)
def test_saved_tensors_go_through_hooks(kind):
    """What is kept for the backward pass is handed to the hooks, none is hidden from them."""
    module, x, twin = given(kind)
    packed, unpacked = [], []

    def pack(t):
        packed.append(t.numel())
        return t.detach().clone()

    def unpack(t):
        unpacked.append(t.numel())
        return t

    with saved_tensors_hooks(pack, unpack):
        found = gradients(module, x)
    wanted = gradients(twin, x.double())
    close(list(found.values()), list(wanted.values()))
    assert sum(packed) >= 4 * 5 * 2  # the states of every step, at least
    assert len(unpacked) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_hooks_bring_back_is_what_is_used(kind):
    """Kept tensors that come back halved must change the gradient of the recurrent weights."""
    module, x, _ = given(kind)
    name = "U_l0" if kind == "own" else "weight_hh_l0"
    with saved_tensors_hooks(lambda t: t, lambda t: t * 0.5 if t.is_floating_point() else t):
        halved = gradients(module, x)[name]
    assert not torch.allclose(halved, gradients(module, x)[name])


def test_save_on_cpu():
    module, x, twin = given("lstm")
    with save_on_cpu():
        found = gradients(module, x)
    close(list(found.values()), list(gradients(twin, x.double()).values()))


def test_a_kept_graph_gives_the_same_twice():
    module, x, twin = given("lstm")
    total, weights = loss(module(x)), list(module.parameters())
    first = torch.autograd.grad(total, weights, retain_graph=True)
    second = torch.autograd.grad(total, weights, retain_graph=True)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    close(first, list(gradients(twin, x.double()).values())[1:])


@pytest.mark.parametrize("kind", KINDS)
def test_a_freed_graph_raises_torchs_error(kind):
    module, x, _ = given(kind)
    total = module(x)[0].sum()
    total.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        total.backward()


def right_or_refused(run, wanted):
    """The gradient that `run` gives is right, or autograd refuses to give one."""
    try:
        found = run()
    except RuntimeError as error:
        assert "inplace" in str(error) or "in-place" in str(error)  # noqa: PT017
        return
    close(found, wanted)


def add(t):
    t += 1


def clear_the_end(t):
    t[-1:] = 0


def write_by_numpy(t):
    t.detach().numpy()[:] = 0


IN_THE_GRAPH = {
    "relu_": torch.relu_,
    "+=": add,
    "y[-1:] = 0": clear_the_end,
    "dropout": lambda t: torch.nn.functional.dropout(t, 0.5, inplace=True),
}
BEHIND_ITS_BACK = {
    "data": lambda t: t.data.zero_(),
    "detach": lambda t: t.detach().zero_(),
    "numpy": write_by_numpy,
}
CHANGES = {**IN_THE_GRAPH, **BEHIND_ITS_BACK}
SITUATIONS = {
    "plain": ({}, {}),
    "one step": ({}, {}),
    "batch_first": ({"batch_first": True}, {}),
    "two layers": ({"num_layers": 2}, {}),
    "bidirectional": ({"bidirectional": True}, {}),
    "lengths": ({}, {"lengths": [5, 2]}),
    "nothing to run": ({}, {"lengths": [0, 0]}),
    "resets": ({}, {"resets": torch.arange(10).view(5, 2) % 3 == 0}),
    "all states": ({}, {"return_states": "all"}),
    "packed": ({}, {}),
}


def results_of(module, x, situation):
    """Outputs and states of a layer, flat."""
    if situation == "packed":
        y, states = module(pack_padded_sequence(x, [5, 5]))
        return flat((y.data, states))
    return flat(module(x[:1] if situation == "one step" else x, **SITUATIONS[situation][1]))


def changed(module, results, which, change):
    """Results one of which a change was made to, and gradients of a loss that they are part of."""
    torch.manual_seed(0)
    if change in IN_THE_GRAPH:
        CHANGES[change](results[which])
    total = loss([3 * t for t in results])
    if change in BEHIND_ITS_BACK:
        CHANGES[change](results[which])
    slopes = torch.autograd.grad(total, list(module.parameters()), materialize_grads=True)
    return [t.detach() for t in results], slopes


CASES = [
    *(("rnn", "cpu", situation) for situation in SITUATIONS),
    *((kind, "cpu", "plain") for kind in KINDS if kind != "rnn"),
    *(("lstm", "cpu", situation) for situation in ("one step", "all states", "packed")),
    *(("rnn", "interp", situation) for situation in ("plain", "one step", "all states")),
]


@pytest.mark.parametrize(("kind", "engine", "situation"), CASES)
def test_results_may_be_changed(kind, engine, situation):
    """Each as if it were a copy: no other result changes with it, nor does a gradient."""
    options = SITUATIONS[situation][0]
    module, x = layer(kind, engine=engine, **options), torch.randn(5, 2, 3)
    twin = oracle(module, kind, **options)
    for change in CHANGES if situation == "plain" else ("+=", "data"):
        for which in range(len(results_of(module, x, situation))):
            copies = [t.clone() for t in results_of(twin, x.double(), situation)]
            wanted = changed(twin, copies, which, change)
            close(changed(module, results_of(module, x, situation), which, change), wanted)


@pytest.mark.parametrize("kind", TORCH_LAYERS)
def test_the_torch_engines_results_may_be_changed_as_torchs(kind):
    module, x = layer(kind, engine="torch"), torch.randn(5, 2, 3)
    twin, is_allowed = torch_twin(module, kind), set()
    for change in CHANGES:
        found = []
        for m in (module, twin):
            try:
                found.append(changed(m, flat(m(x)), 0, change))
            except RuntimeError as error:
                found.append(str(error).split("[")[0])
        if isinstance(found[1], tuple):
            is_allowed.add(change)
            close(*found)
        else:
            assert found[0] == found[1]
    assert set(CHANGES) > is_allowed >= {"data"} if kind == "lstm" else is_allowed == set(CHANGES)


@pytest.mark.parametrize(("kind", "engine", "situation"), CASES)
def test_results_share_no_memory_without_gradients(kind, engine, situation):
    module, x = layer(kind, engine=engine, **SITUATIONS[situation][0]), torch.randn(5, 2, 3)
    with torch.no_grad():
        results = results_of(module, x, situation)
    assert len({t.untyped_storage().data_ptr() for t in results}) == len(results)


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_and_states_do_not_overwrite_one_another(kind):
    module, x, _ = given(kind)
    with torch.no_grad():
        y, last = module(x)
        before = [t.clone() for t in flat(last)]
        y.zero_()
        module(x + 1)
    assert all(torch.equal(a, b) for a, b in zip(flat(last), before, strict=True))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_last_state_keeps_no_sequence_alive(kind, training):
    """Who keeps a state, or saves it, keeps (1, B, H) and not the steps before it."""
    module, x, _ = given(kind)
    with torch.set_grad_enabled(training):
        _, last = module(x)
    for state in flat(last):
        assert state.untyped_storage().nbytes() == state.numel() * state.element_size()


def test_given_states_are_left_as_they_are():
    module, x, _ = given("lstm")
    states = torch.randn(1, 2, 4), torch.randn(1, 2, 4)
    before = [s.clone() for s in states]
    loss(module(x, states)).backward()
    assert all(torch.equal(a, b) for a, b in zip(states, before, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_changed_before_backward_are_refused(kind):
    module, x, _ = given(kind)
    total = module(x)[0].sum()
    with torch.no_grad():
        module.get_parameter("U_l0" if kind == "own" else "weight_hh_l0").mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


@pytest.mark.parametrize("which", ["x", "h", "c"])
def test_an_input_or_state_changed_before_backward(which):
    module, x, twin = given("lstm")
    tensors = {"x": x, "h": torch.randn(1, 2, 4), "c": torch.randn(1, 2, 4)}
    doubles = {n: t.double() for n, t in tensors.items()}
    y = twin(doubles["x"], (doubles["h"], doubles["c"]))[0]
    wanted = torch.autograd.grad(y.sum(), list(twin.parameters()))

    def run():
        y, _ = module(x, (tensors["h"], tensors["c"]))
        tensors[which].zero_()
        return torch.autograd.grad(y.sum(), list(module.parameters()))

    right_or_refused(run, wanted)


@pytest.mark.parametrize("kind", CELLS)
def test_a_cells_weights_changed_before_backward_are_refused(kind):
    cell = CELLS[kind](3, 4)
    state = torch.randn(2, 4, requires_grad=True)
    total = loss(cell(torch.randn(2, 3), (state, state) if kind == "lstm" else state))
    with torch.no_grad():
        cell.weight_hh.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_an_input_of_a_cell_changed_before_backward_is_refused():
    cell, x = CELLS["gru"](3, 4), torch.randn(2, 3)
    total = cell(x).sum()
    x.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


NEEDED = ["x", "h0", "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]


@pytest.mark.parametrize("needed", NEEDED)
@pytest.mark.parametrize("kind", ["gru", "rnn"])
def test_only_one_tensor_needs_its_gradient(kind, needed):
    module, x, twin = given(kind)
    h0, found = torch.randn(1, 2, 4), []
    for m, dtype in ((module, torch.float), (twin, torch.double)):
        m.requires_grad_(False)
        tensors = {"x": x.to(dtype, copy=True), "h0": h0.to(dtype, copy=True)}
        tensors |= dict(m.named_parameters())
        at = tensors[needed].requires_grad_()
        found.append(torch.autograd.grad(loss(m(tensors["x"], tensors["h0"])), at))
    close(*found)


def test_nothing_needs_a_gradient():
    module, x, _ = given("lstm")
    module.requires_grad_(False)
    y, (h, c) = module(x)
    assert [t.requires_grad for t in (y, h, c)] == [False] * 3


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("kind", ["lstm", "own"])
def test_a_loss_of_one_result_alone(kind, part):
    module, x, twin = given(kind)
    found = []
    for m, at in ((module, x.clone()), (twin, x.double())):
        y, (h, c) = m(at.requires_grad_())
        found.append(torch.autograd.grad((y, h, c)[part].square().sum(), at))
    close(*found)


def test_gradients_add_to_those_there():
    module, x, twin = given("lstm")
    buffers = [torch.ones_like(p) for p in module.parameters()]
    for p, buffer in zip(module.parameters(), buffers, strict=True):
        p.grad = buffer
    for _ in range(2):
        loss(module(x)).backward()
    wanted = list(gradients(twin, x.double()).values())[1:]
    close(buffers, [2 * g + 1 for g in wanted])


def test_gradients_are_tensors_of_their_own():
    """Writing one parameter's gradient leaves the others: none shares memory."""
    module, x, _ = given("rnn")
    loss(module(x)).backward()
    kept = module.bias_hh_l0.grad.clone()
    module.bias_ih_l0.grad.zero_()
    assert torch.equal(module.bias_hh_l0.grad, kept)


def test_a_layer_called_twice_in_one_graph():
    module, x, twin = given("own")
    found = []
    for m, at in ((module, x), (twin, x.double())):
        y, states = m(at)
        found.append(torch.autograd.grad(loss((y, m(at + 1, states))), list(m.parameters())))
    close(*found)


def test_anomaly_mode():
    module, x, twin = given("lstm")
    with torch.autograd.set_detect_anomaly(True):
        found = gradients(module, x)
        broken = (module(x)[0] * float("nan")).sum()
        with (
            pytest.raises(RuntimeError, match="nan values"),
            pytest.warns(UserWarning, match="Error detected in"),
        ):
            broken.backward()
    close(list(found.values()), list(gradients(twin, x.double()).values()))


def test_deterministic_algorithms():
    """Their filling of fresh memory with NaN shows where memory is read before it is written."""
    module, x, twin = given("lstm")
    torch.use_deterministic_algorithms(True)
    try:
        found = gradients(module, x, lengths=[5, 2])
    finally:
        torch.use_deterministic_algorithms(False)
    wanted = gradients(twin, x.double(), lengths=[5, 2])
    close(list(found.values()), list(wanted.values()))


def test_hooks_on_tensors_change_the_gradient():
    module, x, twin = given("gru")
    at = x.clone().requires_grad_()
    y, _ = module(at)
    y.register_hook(lambda g: 3 * g)
    at.register_hook(lambda g: g + 1)
    y.sum().backward()
    close(at.grad, 3 * _slope(twin, x.double()) + 1)


def _slope(module, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(module(x)[0].sum(), x)[0]


def test_gradient_turned_off_and_on_again():
    module, x, twin = given("lstm")
    with torch.no_grad():
        y, states = module(x)
        assert not y.requires_grad
        with torch.enable_grad():
            found = gradients(module, x, states)
    doubles = tuple(s.double() for s in states)
    close(list(found.values()), list(gradients(twin, x.double(), doubles).values()))
