"""`recurra.inspect` on models that people wrote with torch alone."""

import copy

import pytest
import torch
from own_models import CellModel, LayerModel, Scaled, StepModel
from torch import nn

import recurra
from recurra.errors import InsightError
from recurra.insight.recorded_model import record
from recurra.nn import RNN


@pytest.fixture
def batches():
    torch.manual_seed(1)
    return [(torch.randn(16, 30, 3), torch.randint(0, 2, (16,)))]


OPTIONS = [{}, {"num_layers": 2}, {"bidirectional": True}, {"bias": False}]


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN, Scaled])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_layers_of_torch_are_recorded_as_torch_computes_them(kind, options, batches):
    model, x = LayerModel(kind, **options).double(), batches[0][0].double()
    recorded = record(model, x)
    assert torch.allclose(recorded.output, model(x), rtol=0, atol=1e-12)
    count = options.get("num_layers", 1) * (1 + bool(options.get("bidirectional")))
    assert [run.name.split(" ")[0] for run in recorded.runs] == ["layer"] * count
    seen = torch.autograd.grad(recorded.output.square().sum(), list(model.parameters()))
    expected = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(seen, expected, strict=True))


def test_projections_and_relu(batches):
    x = batches[0][0]
    for options in ({"proj_size": 4}, {"nonlinearity": "relu"}):
        model = LayerModel(nn.LSTM if "proj_size" in options else nn.RNN, **options)
        recorded = record(model, x)
        assert torch.allclose(recorded.output, model(x), atol=1e-6)
        assert {"proj_size": "ProjectedLSTM"}.get(next(iter(options)), "RNN") in (
            recorded.runs[0].graph.cell
        )


def test_packed_rows_end_where_they_end():
    layer, x = nn.GRU(3, 8), torch.randn(20, 3, 3)
    packed = nn.utils.rnn.pack_padded_sequence(x, [5, 20, 12], enforce_sorted=False)
    recorded = record(layer, packed)
    assert torch.allclose(recorded.output[0].data, layer(packed)[0].data, atol=1e-6)
    assert torch.allclose(recorded.output[1], layer(packed)[1], atol=1e-6)
    assert sorted(recorded.runs[0].active.sum(0).tolist()) == [5, 12, 20]


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_cells_in_a_loop_are_one_run(kind, batches):
    model, x = CellModel(kind), batches[0][0]
    recorded = record(model, x)
    assert len(recorded.runs) == 1
    assert recorded.runs[0].inputs.shape == (30, 16, 3)
    assert torch.allclose(recorded.output, model(x), atol=1e-6)


@pytest.mark.parametrize("step", ["step", "inner_twin"])
def test_a_step_of_ones_own_is_the_layer_of_the_same_equations(step, batches):
    """Reach, exponent and norms are those of a drop-in that has the same weights."""
    model, layer = StepModel(), RNN(3, 8, batch_first=True)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(model.inner.weight[:, :3])
        layer.weight_hh_l0.copy_(model.inner.weight[:, 3:])
        layer.bias_ih_l0.copy_(model.inner.bias)
        layer.bias_hh_l0.zero_()

    twin = nn.Sequential(layer, Last(model.head))
    if step == "inner_twin":  # a submodule in place of a method
        model = CellModel(nn.RNNCell)
        for name, value in layer.named_parameters():
            getattr(model.cell, name.removesuffix("_l0")).data.copy_(value)
        model.head, step = twin[1].head, "cell"
    loss = nn.CrossEntropyLoss()
    batches = [(x[:6, :16], y[:6]) for x, y in batches]
    own = recurra.inspect(model, batches, loss, step=step).layers[0]
    expected = recurra.inspect(twin, batches, loss).layers[0]
    assert own.name == step
    assert torch.allclose(own.reach.median, expected.reach.median, rtol=1e-4)
    assert torch.allclose(own.dynamics.norm, expected.dynamics.norm, rtol=1e-4)
    assert own.drive.exponent == pytest.approx(expected.drive.exponent, abs=1e-4)
    flows = own.flow.states[0].over_time, expected.flow.states[0].over_time
    assert torch.allclose(*flows, rtol=1e-3)


class Last(nn.Module):
    """A head on the last output of a layer."""

    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, found):
        return self.head(found[0][:, -1])


def test_rows_that_a_mask_holds_have_ended(batches):
    lengths = torch.tensor([*range(15, 29), 30, 30])  # a row held at the last step alone isn't seen
    recorded = record(StepModel(), (batches[0][0], lengths), "step")
    assert torch.equal(recorded.runs[0].active.sum(0), lengths)


def test_the_model_is_left_as_it_was(batches):
    model = StepModel()
    before = copy.deepcopy(model.state_dict())
    state = torch.random.get_rng_state()
    recurra.inspect(model, batches, nn.CrossEntropyLoss(), step="step")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert "step" not in vars(model)
    assert all(torch.equal(v, before[n]) for n, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_a_mapping_gives_the_arguments_that_forward_names(batches):
    batch = {"x": batches[0][0], "labels": batches[0][1]}
    found = recurra.inspect(
        LayerModel(nn.GRU), [batch], lambda y, b: nn.functional.cross_entropy(y, b["labels"])
    )
    assert found.task is not None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"step": "stepp"}, "neither a submodule"),
        ({}, "step='cell'"),
        ({"loader": []}, "gives no batch"),
        ({"loader": [torch.zeros(2, 3, 3)]}, "needs a target"),
    ],
)
def test_mistakes_are_told_with_their_remedy(change, words, batches):
    arguments = {"loader": batches, "loss": nn.CrossEntropyLoss()} | change
    with pytest.raises(InsightError, match=words):
        recurra.inspect(StepModel(), **arguments)


class Noisy(StepModel):
    """Its loop changes the states between two steps."""

    def forward(self, x):
        h = x.new_zeros(len(x), 8)
        for t in range(x.shape[1]):
            h = 0.9 * self.step(x[:, t], h)
        return self.head(h)


def test_states_changed_between_steps_are_told(batches):
    with pytest.raises(InsightError, match="unchanged"):
        recurra.inspect(Noisy(), batches, nn.CrossEntropyLoss(), step="step")
