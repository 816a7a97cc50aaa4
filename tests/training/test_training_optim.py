"""Parameter groups: which parameters weight decay leaves alone, by module and role."""

import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn.utils import parametrizations
from training_toys import contents, last_checkpoint, new_toy, train

from recurra.cells import CELLS
from recurra.errors import RunError
from recurra.nn import GRU, LSTM, GRUCell, Recurrent, Stack
from recurra.training import TrainingConfig
from recurra.training.optim import make_optimizer, undecayed


class Own(nn.Module):
    """A user's module: a matrix, a vector, and a table that it declares."""

    undecayed = ("table",)

    def __init__(self):
        super().__init__()
        self.matrix = nn.Parameter(torch.ones(2, 2))
        self.scale = nn.Parameter(torch.ones(2))
        self.table = nn.Parameter(torch.ones(9, 2))


BOTH_WAYS = [("ih", ""), ("hh", ""), ("ih", "_reverse"), ("hh", "_reverse")]


def decayed(model):
    return {name for name, _ in model.named_parameters()} - undecayed(model)


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (nn.Linear(2, 3), {"weight"}),
        (nn.Embedding(5, 2), set()),
        (nn.LayerNorm((2, 3)), set()),
        (nn.BatchNorm1d(3), set()),
        (nn.GroupNorm(1, 3), set()),
        (nn.RMSNorm((2, 3)), set()),
        (nn.LSTM(2, 3), {"weight_ih_l0", "weight_hh_l0"}),
        (nn.MultiheadAttention(2, 1, add_bias_kv=True), {"in_proj_weight", "out_proj.weight"}),
        (LSTM(2, 3, proj_size=2), {"weight_ih_l0", "weight_hh_l0", "weight_hr_l0"}),
        (GRU(2, 3, bidirectional=True), {f"weight_{k}_l0{d}" for k, d in BOTH_WAYS}),
        (GRUCell(2, 3), {"weight_ih", "weight_hh"}),
        (Own(), {"matrix"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_by_module(model, names):
    assert decayed(model) == names


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("lstm", {"W", "U"}),
        ("lstm_peephole", {"W", "U", "p"}),
        ("indrnn", {"W", "u"}),
        ("lstm_layernorm", {"W", "U"}),
        ("fastrnn", {"W", "U"}),
        ("gru", {"W", "U"}),
    ],
)
def test_by_role_in_the_equations(cell, names):
    layer = Recurrent(cell, 3, 3, 2, learn_initial_state=True)
    found = {name for name in decayed(layer) if name.endswith("_l1")}
    assert found == {f"{name}_l1" for name in names}
    assert any(name.startswith("initial_") for name in undecayed(layer))


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_every_matrix_of_a_cell_decays_and_no_bias(cell):
    layer = Recurrent(cell, 4, 4)
    matrices = {name for name, weight in layer.named_parameters() if weight.dim() == 2}
    found = decayed(layer)
    assert matrices <= found
    assert not any(name.split("_")[0] in ("b", "b2") or "gain" in name for name in found)


def test_a_stack_and_its_norms():
    stack = Stack.of("gru", 3, 4, 2, skip="highway", norm="pre")
    assert all("before" not in name and "bias" not in name for name in decayed(stack))
    assert sum("skip" in name for name in decayed(stack)) > 0


def test_a_tied_matrix_is_an_embedding():
    model = nn.ModuleDict({"head": nn.Linear(3, 7), "embedding": nn.Embedding(7, 3)})
    model["head"].weight = model["embedding"].weight
    assert decayed(model) == set()


def test_a_parametrised_matrix_keeps_its_role():
    layer = Recurrent("rnn", 3, 3)
    parametrizations.orthogonal(layer, "U_l0")
    parametrizations.weight_norm(layer, "b_l0", dim=None)
    assert decayed(layer) == {"W_l0", "parametrizations.U_l0.original"}


def groups(**options):
    made = make_optimizer(new_toy(), TrainingConfig(**options)).param_groups
    return {group["weight_decay"]: set(group["param_names"]) for group in made}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_groups(optimizer):
    every = {name for name, _ in new_toy().named_parameters()}
    matrices = {"rnn.weight_ih_l0", "rnn.weight_hh_l0", "head.weight"}
    found = groups(optimizer=optimizer, weight_decay=0.1)
    assert found == {0.1: matrices, 0.0: every - matrices}
    assert groups(optimizer=optimizer, weight_decay=0.1, decay_all=True) == {0.1: every}
    assert groups(optimizer=optimizer) == {0.0: every}


def test_decay_moves_matrices_alone():
    model = new_toy()
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    optimizer = make_optimizer(model, TrainingConfig(learning_rate=0.1, weight_decay=0.5))
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    moved = {name for name, weight in model.named_parameters() if not weight.equal(before[name])}
    assert moved == {"rnn.weight_ih_l0", "rnn.weight_hh_l0", "head.weight"}


def test_resumed_with_groups(tmp_path):
    given = {"weight_decay": 0.1, "learning_rate": 0.01}
    train(tmp_path / "whole", max_steps=9, **given)
    train(tmp_path / "run", max_steps=5, **given)
    train(tmp_path / "run", max_steps=9, resume=True, **given)
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_the_optimisers_state_is_stored_by_name(tmp_path):
    train(tmp_path, max_steps=2, weight_decay=0.1)
    saved = safetensors.torch.load_file(last_checkpoint(tmp_path) / "training.safetensors")
    found = {name for name in saved if name.startswith("optimizer/head.")}
    kinds = ("exp_avg", "exp_avg_sq", "step")
    assert found == {f"optimizer/head.{w}.{k}" for w in ("weight", "bias") for k in kinds}
    assert saved["optimizer/head.weight.exp_avg"].shape == (1, 4)


@pytest.mark.parametrize(("before", "was"), [(True, "trained"), (False, "frozen")])
def test_other_frozen_parameters_are_not_resumed(tmp_path, before, was):
    model = new_toy()
    model.head.requires_grad_(before)
    train(tmp_path, max_steps=2, model=model)
    model = new_toy()
    model.head.requires_grad_(not before)
    with pytest.raises(RunError, match=rf"made while head.bias was {was}, which it isn't now"):
        train(tmp_path, resume=True, model=model)
