"""The network: shapes, states carried, tied weights, any cell."""

import pytest
import torch

from recurra.data.batches import Window
from recurra.errors import CellError, ConfigError
from recurra.tasks.language.config import LanguageConfig
from recurra.tasks.language.model import LanguageNet, next_token_loss


def net(vocabulary=11, **settings):
    torch.manual_seed(0)
    return LanguageNet(LanguageConfig(**{"hidden": 6, **settings}), vocabulary)


def test_logits_and_states_have_their_shapes():
    logits, states = net(layers=2)(torch.zeros(5, 3, dtype=torch.long))
    assert logits.shape == (5, 3, 11)
    assert [state.shape for state in states] == [(2, 3, 6)] * 2


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_windows_with_the_state_carried_are_one_sequence(cell):
    model, tokens = net(cell=cell).eval(), torch.randint(11, (9, 2))
    whole, _ = model(tokens)
    first, states = model(tokens[:4])
    second, _ = model(tokens[4:], states)
    torch.testing.assert_close(torch.cat([first, second]), whole)


def test_the_loss_is_the_mean_over_window_and_rows():
    model, tokens = net().eval(), torch.randint(11, (6, 2))
    loss, count, _ = next_token_loss(model, Window(tokens[:-1], tokens[1:]), None)
    chances = torch.log_softmax(model(tokens[:-1])[0], -1)
    picked = [chances[t, b, tokens[t + 1, b]] for t in range(5) for b in range(2)]
    assert count == 10
    torch.testing.assert_close(loss, -torch.stack(picked).mean())


def test_tied_weights_are_one_matrix():
    model = net(tie_embeddings=True)
    assert model.head.weight is model.embedding.weight
    assert net().parameter_count() - model.parameter_count() == 11 * 6


@pytest.mark.parametrize("settings", [{"embedding": 5}, {"cell": "lstm_projected"}])
def test_tying_needs_one_width(settings):
    with pytest.raises(ConfigError, match="tie_embeddings"):
        net(tie_embeddings=True, **settings)


def test_the_embedding_may_have_a_width_of_its_own():
    assert net(embedding=4)(torch.zeros(2, 1, dtype=torch.long))[0].shape == (2, 1, 11)


def test_dropout_acts_in_training_alone():
    model, tokens = net(dropout=0.5), torch.randint(11, (4, 2))
    assert not torch.equal(model(tokens)[0], model(tokens)[0])
    model.eval()
    assert torch.equal(model(tokens)[0], model(tokens)[0])


SHARES = {
    "input_dropout": 0.1,
    "state_dropout": 0.2,
    "output_dropout": 0.3,
    "recurrent_dropout": 0.4,
    "weight_drop": 0.5,
    "zoneout": 0.6,
}


def test_remedies_reach_the_layers():
    layer = net(layers=2, learn_initial_state=True, **SHARES).recurrent
    assert {name: getattr(layer.remedies, name) for name in SHARES} == SHARES
    assert layer.initial_c_l1.shape == (6,)


def of_window(model):
    tokens = torch.arange(12).view(6, 2) % 11
    return next_token_loss(model, Window(tokens[:-1], tokens[1:]), None)[0]


@pytest.mark.parametrize("name", ["activation_penalty", "temporal_activation_penalty"])
def test_penalties_change_the_gradient_and_not_the_loss(name):
    plain, penalised = net(), net(**{name: 3.0})
    losses = [of_window(model) for model in (plain, penalised)]
    assert torch.equal(*losses)
    gradients = [
        torch.autograd.grad(loss, model.recurrent.U_l0)[0]
        for loss, model in zip(losses, (plain, penalised), strict=True)
    ]
    assert not torch.allclose(*gradients)


def test_penalties_are_those_of_the_paper():
    """On size of what dropout keeps, on changes of what was there before."""
    model = net(dropout=0.5, activation_penalty=2.0, temporal_activation_penalty=1.0)
    seen = []
    model.dropout.register_forward_hook(lambda _, given, kept: seen.append((given[0], kept)))
    *_, penalty = model(torch.arange(10).view(5, 2), with_penalty=True)
    (outputs, kept) = seen[-1]
    wanted = 2 * kept.square().mean() + (outputs[1:] - outputs[:-1]).square().mean()
    torch.testing.assert_close(penalty, wanted)


def test_layers_start_as_asked():
    layer = net(init="orthogonal:2, forget-bias:1.5").recurrent
    torch.testing.assert_close(layer.U_l0[:6] @ layer.U_l0[:6].T, 4 * torch.eye(6))
    assert layer.b_l0[6:12].tolist() == [1.5] * 6
    assert net(init="identity:0.5").recurrent.U_l0[6:12].trace() == 3
    chrono = net(init="chrono:50").recurrent.b_l0
    assert (chrono[:6] == -chrono[6:12]).all()
    assert chrono[6:12].max() <= torch.tensor(49.0).log()


def test_the_rest_starts_the_same_however_layers_do():
    plain, other = net(), net(init="orthogonal")
    assert torch.equal(plain.head.weight, other.head.weight)
    assert torch.equal(plain.recurrent.W_l0, other.recurrent.W_l0)


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"cell": "rnn", "init": "chrono:9"}, ConfigError, "RNN has no forget gate"),
        ({"cell": "indrnn", "init": "orthogonal"}, ConfigError, "has no recurrent matrix"),
        ({"cell": "indrnn", "weight_drop": 0.5}, ConfigError, "has no recurrent matrix"),
        ({"cell": "rnn", "recurrent_dropout": 0.5}, CellError, "has no candidate"),
    ],
)
def test_a_remedy_that_the_cell_cannot_have(settings, error, text):
    with pytest.raises(error, match=text):
        net(**settings)
