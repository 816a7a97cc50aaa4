"""Gradient flow against plain autograd, and what happens where there is no flow."""

import pytest
import torch
from networks import plain_states
from torch import nn

from recurra.errors import InsightError
from recurra.insight import gradient_flow
from recurra.insight.recorded_model import record
from recurra.nn import GRU, LSTM, RNN, Recurrent

KINDS = (RNN, LSTM, GRU, lambda *a, **k: RNN(*a, nonlinearity="relu", **k))


def random_network(seed):
    torch.manual_seed(seed)
    options = {"num_layers": 1 + seed % 2, "bidirectional": seed % 3 == 2}
    model = KINDS[seed % 4](3, 4 + seed % 5, **options).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1 + seed % 3 / 2)
    return model, torch.randn(30 + seed, 2, 3, dtype=torch.double)


def plain_norms(states, index, loss):
    gradients = torch.autograd.grad(
        loss, [s[index] for s in states], retain_graph=True, allow_unused=True
    )
    return torch.stack([torch.zeros(()) if g is None else g.norm() for g in gradients])


@pytest.mark.parametrize("seed", range(20))
def test_norms_are_those_of_plain_autograd(seed):
    model, x = random_network(seed)
    y, states = plain_states(model, x)
    layers = gradient_flow(model, x).layers
    assert len(layers) == len(states)
    for layer, plain in zip(layers, states, strict=True):
        at = 0 if layer.reverse else len(x) - 1
        for index, state in enumerate(layer.states):
            norms = plain_norms(plain, index, y[at].square().sum() / 2)
            torch.testing.assert_close(state.over_time[0], norms, rtol=1e-7, atol=1e-14)


@pytest.mark.parametrize("at", [5, -3, [2, 17]])
def test_losses_at_chosen_steps(at):
    model, x = random_network(1)
    y, states = plain_states(model, x)
    (first, _) = gradient_flow(model, x, at=at).layers
    for row, step in enumerate([at] if isinstance(at, int) else at):
        norms = plain_norms(states[0], 0, y[step].square().sum() / 2)
        torch.testing.assert_close(first.states[0].over_time[row], norms, rtol=1e-7, atol=1e-14)


def test_a_loss_over_the_whole_and_one_for_each_step():
    model, x = random_network(0)
    whole = gradient_flow(model, x, loss=lambda out: out[1].sum()).layers[0].states[0]
    steps = gradient_flow(model, x, loss=lambda out: out[0].sum((1, 2))).layers[0].states[0]
    assert whole.at == (None,)
    assert steps.at == (len(x) - 1,)
    torch.testing.assert_close(whole.over_time, steps.over_time)


def test_lengths_and_packed_input_are_those_of_each_row_alone():
    model, x = LSTM(3, 5).double(), torch.randn(20, 3, 3).double()
    lengths = torch.tensor([20, 9, 14])
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    loss = lambda out: out[1][0].square().sum()  # noqa: E731
    alone = torch.zeros(20, dtype=torch.double)
    for row, steps in enumerate(lengths.tolist()):
        own = gradient_flow(model, x[:steps, [row]], loss=loss)["layer"].states[0].over_time[0]
        alone[:steps] += own.square()
    for batch in ({"input": x, "lengths": lengths}, packed):
        found = gradient_flow(model, batch, loss=loss)["layer"].states[0].over_time[0]
        torch.testing.assert_close(found, alone.sqrt())


def test_batch_first_and_a_model_around():
    model, x = random_network(1)
    other = LSTM(3, model.hidden_size, num_layers=2, batch_first=True).double()
    other.load_state_dict(model.state_dict())
    wrapped = gradient_flow(nn.ModuleDict({"a": other})["a"], x.transpose(0, 1))
    assert [f.name for f in wrapped.layers] == ["layer 0", "layer 1"]
    inner = gradient_flow(nn.Sequential(other), x.transpose(0, 1))
    assert [f.name for f in inner.layers] == ["0 layer 0", "0 layer 1"]
    for a, b in zip(inner.layers, gradient_flow(model, x).layers, strict=True):
        torch.testing.assert_close(a.states[1].over_time, b.states[1].over_time)


def test_a_segments_start_cuts_the_flow():
    resets = torch.zeros(10, 2, dtype=torch.bool)
    resets[6] = True
    batch = {"input": torch.randn(10, 2, 3), "resets": resets}
    norms = gradient_flow(GRU(3, 4), batch).layers[0].states[0].over_time[0]
    assert bool((norms[:6] == 0).all())
    assert bool((norms[6:] > 0).all())


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(LSTM(3, 4, num_layers=2, dropout=0.5))
    before = {name: p.clone() for name, p in model.state_dict().items()}
    random, hooks = torch.get_rng_state(), len(model[0]._forward_hooks)
    gradient_flow(model, torch.randn(8, 2, 3, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(before[n], p) for n, p in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert model.training
    assert len(model[0]._forward_hooks) == hooks


def test_frozen_models_and_no_grad_around():
    model, x = random_network(4)
    expected = gradient_flow(model, x).layers[0].states[0].over_time
    model.requires_grad_(False)
    with torch.no_grad():
        found = gradient_flow(model, x).layers[0].states[0].over_time
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("reverse", [False, True])
def test_recorded_layers_compute_what_they_compute(reverse):
    model = Recurrent("gru", 3, 4, num_layers=2, bidirectional=reverse).double()
    x, lengths = torch.randn(7, 3, 3).double(), torch.tensor([7, 0, 4])
    resets = torch.rand(7, 3) < 0.3
    batch = {"input": x, "lengths": lengths, "resets": resets}
    y, (h,) = model(**batch)
    output = record(model, batch).output
    torch.testing.assert_close(output[0], y)
    torch.testing.assert_close(output[1][0], h)


class Loop(nn.Module):
    """A layer called step by step."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        state, outputs = None, []
        for step in x.split(1):
            y, state = self.layer(step, state)
            outputs.append(y)
        return torch.cat(outputs)


def test_a_layer_called_step_by_step_is_one_sequence():
    layer, x = Recurrent("lstm", 3, 4).double(), torch.randn(12, 2, 3).double()
    whole, pieces = gradient_flow(layer, x).layers, gradient_flow(Loop(layer), x).layers
    assert [f.name for f in pieces] == ["layer"]
    torch.testing.assert_close(pieces[0].states[1].over_time, whole[0].states[1].over_time)


class Twice(nn.Module):
    """A layer that reads two sequences."""

    def __init__(self):
        super().__init__()
        self.layer = GRU(3, 4)

    def forward(self, x):
        return self.layer(x)[0] + self.layer(x.flip(0))[0]


def test_a_layer_that_reads_two_sequences_is_told_apart():
    names = [f.name for f in gradient_flow(Twice(), torch.randn(5, 2, 3)).layers]
    assert names == ["layer", "layer (call 2)"]


@pytest.mark.parametrize("remedy", ["zoneout", "recurrent_dropout", "state_dropout"])
def test_masks_in_time_are_recorded_as_they_are_drawn(remedy):
    layer = Recurrent("lstm", 3, 4, **{remedy: 0.5}).double()
    x, ends = torch.randn(9, 3, 3).double(), torch.tensor([9, 4, 6])
    packed = nn.utils.rnn.pack_padded_sequence(x, ends, enforce_sorted=False)
    for batch in (x, packed):
        state = torch.get_rng_state()
        found = record(layer, batch).output[1]
        torch.testing.assert_close(found, layer(batch)[1])
        torch.set_rng_state(state)
        assert gradient_flow(layer, batch).layers[0].horizon.growth < 100


class Deaf(nn.Module):
    """A model of two layers, of which the loss hears one."""

    def __init__(self):
        super().__init__()
        self.heard, self.unheard = RNN(3, 4), GRU(3, 4)

    def forward(self, x):
        self.unheard(x)
        return self.heard(x)[0]


def test_a_layer_that_the_loss_does_not_depend_on_is_named():
    with pytest.raises(InsightError, match="doesn't depend on the layer unheard; take it"):
        gradient_flow(Deaf(), torch.randn(5, 2, 3))


def test_a_loss_that_depends_on_no_layer():
    with pytest.raises(InsightError, match="doesn't depend on unheard, nor on any other"):
        gradient_flow(Deaf(), torch.randn(5, 2, 3), loss=lambda y: y.detach().sum())


def test_a_model_without_recurrent_layers():
    with pytest.raises(InsightError, match=r"in this Linear; where it loops .* step="):
        gradient_flow(nn.Linear(3, 4), torch.randn(5, 3))


def test_a_state_that_no_path_leads_from_is_named(counter):
    x = torch.randn(5, 2, 3)
    with pytest.raises(
        InsightError, match=r"state n of the cell Counter \(layer layer\).*\('h',\)"
    ):
        gradient_flow(Recurrent(counter, 3, 4), x)
    flow = gradient_flow(Recurrent(counter, 3, 4), x, states=["h"])
    assert [s.name for s in flow.layers[0].states] == ["h"]
    with pytest.raises(InsightError, match=r"none of the states \['k'\]; its states are h, n"):
        gradient_flow(Recurrent(counter, 3, 4), x, states=["k"])


@pytest.mark.parametrize("at", [5, -6, [1, 9]])
def test_steps_outside_the_sequence(at):
    with pytest.raises(InsightError, match="lies outside the sequence of 5 steps; give a step fr"):
        gradient_flow(RNN(3, 4), torch.randn(5, 2, 3), at=at)


def test_steps_of_a_loss_that_has_none():
    with pytest.raises(InsightError, match="one number for all steps"):
        gradient_flow(RNN(3, 4), torch.randn(5, 2, 3), at=1, loss=lambda out: out[0].sum())


def test_a_loss_that_is_not_finite():
    with pytest.raises(InsightError, match="loss is not finite at step 3"):
        gradient_flow(RNN(3, 4), torch.randn(5, 2, 3), loss=lambda o: o[0].sum((1, 2)) / NEVER)


NEVER = torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0])


@pytest.mark.parametrize("loss", [lambda o: o[0], lambda o: 1.0, lambda o: torch.ones(5).long()])
def test_what_is_no_loss(loss):
    with pytest.raises(InsightError, match=r"it must be one number, or one for each step"):
        gradient_flow(RNN(3, 4), torch.randn(5, 2, 3), loss=loss)


def nodes_behind(value):
    """Names of everything autograd recorded on the way to a value."""
    found, waiting = {}, [value.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found:
            found[node] = node.name()
            waiting += [behind for behind, _ in node.next_functions]
    return list(found.values())


def test_that_a_step_is_cut_from_a_sequence_with_all_others():
    """Cut alone, each would send a gradient as large as the whole sequence back: T² in all."""
    recorded = record(Recurrent("indrnn", 2, 3, num_layers=2), torch.randn(20, 2, 2))
    assert nodes_behind(recorded.output[0]).count("SelectBackward0") == 0


def test_the_flow_is_a_mapping_by_layer():
    flow = gradient_flow(LSTM(3, 4, num_layers=2), torch.randn(5, 2, 3))
    assert list(flow) == [layer.name for layer in flow.layers] == ["layer 0", "layer 1"]
    assert list(flow.values()) == list(flow.layers)
    assert ("layer 1" in flow, "layer 2" in flow, len(flow)) == (True, False, 2)
    with pytest.raises(KeyError, match="no layer 'layer 2'; there are layer 0, layer 1"):
        flow["layer 2"]
