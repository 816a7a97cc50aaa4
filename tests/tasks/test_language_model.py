"""The network: shapes, states carried, tied weights, any cell."""

import pytest
import torch

from weft.data.streams import Window
from weft.errors import ConfigError
from weft.tasks.language.config import LanguageConfig
from weft.tasks.language.model import LanguageNet, next_token_loss


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
