"""The gradient's way through time, kept while training: what is written, at the cost of no bit."""

import pytest
import torch
from torch import nn
from training_toys import Noise, contents, lines, train

from recurra.cells import CELLS
from recurra.nn import GRU, Recurrent
from recurra.training import Run
from recurra.training.gradient_flow import distances, flowing


class Watched(nn.Module):
    """A recurrent layer of ours and an output layer, its state carried."""

    def __init__(self, bidirectional=False):
        super().__init__()
        self.rnn = GRU(3, 4, num_layers=2, bidirectional=bidirectional)
        self.head = nn.Linear(4 * (1 + bidirectional), 1)

    def forward(self, x, state):
        y, state = self.rnn(x, state)
        return self.head(y), state


def new_model():
    torch.manual_seed(5)
    return Watched()


def test_lines_are_of_the_watched_steps(tmp_path):
    train(tmp_path, model=new_model(), watch_every=4)
    found = Run.open(tmp_path).gradients()
    assert [line["step"] for line in found[::2]] == [0, 4, 8, 12, 16, 20]
    assert {line["layer"] for line in found} == {"rnn layer 0", "rnn layer 1"}
    assert found[0]["distances"] == [0, 1, 2, 3, 4]
    assert all(len(line["norms"]) == len(line["whole"]) == 5 for line in found)


@pytest.mark.parametrize("options", [{"watch_every": 1}, {"watch_every": 3}])
def test_watching_changes_no_bit(tmp_path, options):
    train(tmp_path / "a", model=new_model(), **options)
    train(tmp_path / "b", model=new_model(), watch_every=0)
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert a == b
    assert lines(tmp_path / "a") == lines(tmp_path / "b")
    assert not (tmp_path / "b" / "gradients.jsonl").exists()


def test_a_resumed_run_has_each_line_once(tmp_path):
    train(tmp_path / "whole", model=new_model(), watch_every=2)
    path = tmp_path / "run"
    train(path, model=new_model(), watch_every=2, max_steps=9)
    with (path / "gradients.jsonl").open("a") as file:
        file.write('{"step": 8, "lay')  # what a killed run leaves
    train(path, model=Watched(), watch_every=2, resume=True)
    assert Run.open(path).gradients() == Run.open(tmp_path / "whole").gradients()


def test_a_model_without_layers_of_ours_writes_nothing(tmp_path):
    train(tmp_path, watch_every=1, max_steps=2)
    assert Run.open(tmp_path).gradients() == []
    assert not (tmp_path / "gradients.jsonl").exists()


def test_a_compiled_model_is_not_watched(tmp_path):
    compiled = torch.compile(new_model(), backend="eager")
    with flowing(compiled) as flow:
        compiled(Noise().window(0, 0), None)[0].sum().backward()
    assert flow.lines(0) == []


def norms_alone(model, x, loss, at=-1):
    """By distance: the gradient of the loss that goes through the output `at`, by steps."""
    y, _ = model(x)
    (received,) = torch.autograd.grad(loss(y), y)
    found = []
    for t in range(len(x)):
        # dL/dh_t through the output `at` alone: run on from h_t, as a leaf.
        _, state = model(x[: t + 1])
        state = tuple(s.detach().requires_grad_() for s in state)
        h = state[0]
        out = model(x[t + 1 :], state)[0][-1] if t < len(x) - 1 else h[0]
        found.append(torch.autograd.grad(out, h, received[at])[0].norm())
    return torch.stack(found).flip(0)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_the_share_of_the_last_output_is_told_alone(cell):
    model, x = Recurrent(cell, 3, 4).double(), torch.randn(9, 2, 3).double()
    weight = torch.randn(9, 2, 4).double()
    with flowing(model) as flow:
        (model(x)[0] * weight).sum().backward()
    expected = norms_alone(model, x, lambda y: (y * weight).sum())
    torch.testing.assert_close(flow.ends["layer"], expected)
    assert (flow.whole["layer"][1:] > flow.ends["layer"][1:]).all()
    assert flow.lines(3)[0]["norms"] == [float(f"{n:.4g}") for n in expected.tolist()]


def test_a_loss_at_the_end_needs_no_second_look():
    model, x = Recurrent("gru", 3, 4).double(), torch.randn(9, 2, 3).double()
    with flowing(model) as flow:
        model(x)[0][-1].sum().backward()
    assert flow.ends == {}
    torch.testing.assert_close(flow.whole["layer"], norms_alone(model, x, lambda y: y[-1].sum()))


def test_a_reversed_direction_counts_from_its_own_last_step():
    model, x = GRU(3, 4, bidirectional=True).double(), torch.randn(7, 2, 3).double()
    with flowing(model) as flow:
        model(x)[0].sum().backward()
    turned = GRU(3, 4).double()
    weights = {n: getattr(model, n + "_reverse").detach() for n, _ in turned.named_parameters()}
    turned.load_state_dict(weights)
    with flowing(turned) as forward:
        turned(x.flip(0))[0].sum().backward()
    torch.testing.assert_close(flow.ends["backward"], forward.ends["layer"])
    torch.testing.assert_close(flow.whole["backward"], forward.whole["layer"])


@pytest.mark.parametrize("is_packed", [False, True])
def test_rows_count_from_their_own_ends(is_packed):
    model, x = Recurrent("gru", 3, 4).double(), torch.randn(8, 3, 3).double()
    lengths = torch.tensor([8, 5, 2])
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths)
    with flowing(model) as flow:
        y = model(packed)[0].data if is_packed else model(x, lengths=lengths)[0]
        y.square().sum().backward()
    squares = torch.zeros(8).double()
    for row, length in enumerate(lengths):
        with flowing(model) as one:
            model(x[:length, [row]])[0].square().sum().backward()
        squares[:length] += one.ends["layer"].square()
    torch.testing.assert_close(flow.ends["layer"], squares.sqrt())


def test_gradients_that_nearly_vanish_or_explode_are_told():
    model, x = Recurrent("rnn", 3, 4), torch.randn(5, 2, 3)
    for scale in (1e-30, 1e25):
        with flowing(model) as flow:
            (model(x)[0][-1].sum() * scale).backward()
        assert 0 < flow.whole["layer"][0] < float("inf")


def test_distances_are_all_of_a_few_and_thinned_of_many():
    assert distances(64) == list(range(64))
    for count in (65, 100, 1000, 50_000):
        found = distances(count)
        assert found[:3] == [0, 1, 2]
        assert found[-1] == count - 1
        assert 40 < len(found) <= 64
        assert found == sorted(set(found))


INEXACT = {"antisymmetric", "antisymmetric_gated", "indrnn"}


@pytest.mark.slow
@pytest.mark.parametrize("cell", sorted(set(CELLS) - INEXACT))
def test_no_cells_gradient_changes_by_a_bit(cell):
    model, x = Recurrent(cell, 6, 6), torch.randn(7, 3, 6)
    found = []
    for watch in (False, True):
        model.zero_grad()
        if watch:
            with flowing(model):
                model(x)[0].square().sum().backward()
        else:
            model(x)[0].square().sum().backward()
        found.append([p.grad.clone() for p in model.parameters()])
    assert all(map(torch.equal, *found))
