"""States of layers: detached, written to a file and read again, rows selected."""

import pytest
import torch
from safetensors.torch import load, save

from recurra.errors import TrainingError
from recurra.nn import Layer, Recurrent, Stack
from recurra.nn.states import detach, flatten, reorder, tensors_of, unflatten

LAYERS = {
    "one state": lambda: Recurrent("gru", 3, 4, num_layers=2),
    "two states": lambda: Recurrent("lstm", 3, 4, bidirectional=True),
    "stack": lambda: Stack(
        3,
        [Layer("lstm", 4), Layer("gru", 5, dilation=3), Layer("rnn", 4, time_skip=2)],
        skip="residual",
    ),
    "stack both ways": lambda: Stack.of("lstm", 3, 4, 2, bidirectional=True, dilation=2),
}


@pytest.fixture(params=LAYERS)
def layers(request):
    torch.manual_seed(0)
    return LAYERS[request.param]()


def ran(layers, batch=3, states=None):
    return layers(torch.randn(5, batch, 3), states)


def test_selected_rows_go_on_as_their_sequences_do(layers):
    _, states = ran(layers)
    rows, x = torch.tensor([2, 0, 2, 2]), torch.randn(4, 3, 3)
    wanted, _ = layers(x, states)
    found, _ = layers(x[:, rows], reorder(states, rows))
    torch.testing.assert_close(found, wanted[:, rows])
    assert not torch.allclose(found, layers(x[:, rows], reorder(states, rows.flip(0)))[0])


def test_states_return_from_a_file_to_the_bit(layers):
    _, states = ran(layers)
    states = detach(states)
    shape, tensors = flatten(states)
    kept = {name: tensor.contiguous() for name, tensor in tensors.items()}
    restored = unflatten(shape, load(save(kept)), torch.device("cpu"))
    x = torch.randn(2, 3, 3)
    assert torch.equal(layers(x, restored)[0], layers(x, states)[0])
    assert flatten(restored)[0] == shape


def test_detached_states_have_no_history(layers):
    _, states = ran(layers)
    assert all(s.grad_fn is not None for s in tensors_of(states))
    assert all(s.grad_fn is None for s in tensors_of(detach(states)))


def test_a_state_may_be_missing():
    assert detach(None) is reorder(None, torch.tensor([0])) is unflatten(*flatten(None), "cpu")
    state = (None, torch.zeros(1, 2, 3))
    assert flatten(reorder(state, torch.tensor([1])))[0] == [None, "tensor"]


def test_a_state_of_another_type_is_named():
    with pytest.raises(TrainingError, match="a state of type list; it must be a tensor, None"):
        detach([torch.zeros(1)])
