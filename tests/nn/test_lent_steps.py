"""Steps that share a module's weights: each sequence has the outputs that it has alone."""

import random

import pytest
import torch

from recurra.nn import LSTM, Layer, Recurrent, Stack
from recurra.nn.lent_steps import StepsLender
from recurra.nn.module_steps import steps_of

MODULES = {
    "LSTM": lambda: LSTM(3, 5, 2),
    "GRU, learnt start": lambda: Recurrent("gru", 3, 5, learn_initial_state=True),
    "stack": lambda: Stack(3, [Layer("lstm", 5), Layer("gru", 4)]),
    "torch": lambda: torch.nn.LSTM(3, 5),
}


@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)
def test_interleaved_sequences_are_those_of_each_alone(make):
    module, draw = make(), random.Random(0)
    lender, alone = StepsLender(module), [steps_of(module) for _ in range(3)]
    lent = [lender.lend() for _ in alone]
    for _ in range(40):
        n = draw.randrange(3)
        if draw.random() < 0.1:
            lent[n].reset()
            alone[n].reset()
        x = torch.randn(draw.randrange(1, 4), 1, 3)
        torch.testing.assert_close(lent[n].feed(x), alone[n].feed(x))


def test_states_go_to_steps_of_their_own():
    module = LSTM(3, 5)
    lender, alone = StepsLender(module), steps_of(module)
    first, second = lender.lend(), lender.lend()
    x = torch.randn(4, 1, 3)
    first.feed(x)
    second.feed(-x)
    alone.set_state(first.state())
    torch.testing.assert_close(alone.feed(x), first.feed(x))


def test_a_sequence_that_is_gone_leaves_the_others_as_they_are():
    lender = StepsLender(LSTM(3, 5))
    kept, x = lender.lend(), torch.randn(4, 1, 3)
    y = kept.feed(x)
    lender.lend().feed(x)
    kept.reset()
    torch.testing.assert_close(kept.feed(x), y)
