"""Saved sessions: the same bytes are taken by the same model alone."""

import pytest
import torch
from torch import nn

from recurra.errors import RunError
from recurra.runs.saving import to_bytes
from recurra.tasks.session import Session, weights_digest


class Running(Session):
    """Sums of the numbers so far; each is settled by the number after it."""

    def __init__(self, model):
        super().__init__(weights_digest([model]))
        self.total, self.waiting = torch.zeros(1), []

    def feed(self, chunk):
        self.waiting += chunk
        settled, self.waiting = self.waiting[:-1], self.waiting[-1:]
        return [self.add(number) for number in settled]

    def finish(self):
        return [self.add(number) for number in self.waiting]

    def add(self, number):
        self.total = self.total + number
        return self.total.item()

    def state(self):
        return {"total": self.total, "waiting": torch.tensor(self.waiting)}

    def set_state(self, tensors):
        self.total, self.waiting = tensors["total"], tensors["waiting"].tolist()


def model(seed=0, outputs=2):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, outputs), nn.BatchNorm1d(outputs))


def test_a_restored_session_continues_as_the_saved_one():
    live, other = Running(model()), Running(model())
    assert live.feed([1.0, 2.0, 4.0]) == [1.0, 3.0]
    saved = live.save()
    assert live.feed([8.0]) == [7.0]
    other.restore(saved)
    assert other.feed([8.0]) == [7.0]
    assert other.finish() == live.finish() == [15.0]


def test_saving_changes_nothing_and_is_the_same_twice():
    live = Running(model())
    live.feed([1.0, 2.0])
    assert live.save() == live.save()
    assert live.finish() == [3.0]


def test_another_model_takes_no_session():
    saved = Running(model()).save()
    changed = model()
    changed[1].running_mean += 1
    for foreign in (model(seed=1), model(outputs=3), changed):
        session = Running(foreign)
        session.feed([5.0, 6.0])
        with pytest.raises(RunError, match="saved by another model, or by other weights; restore"):
            session.restore(saved)
        assert session.finish() == [11.0]


@pytest.mark.parametrize("saved", [b"", b"no session", to_bytes({"total": torch.zeros(1)})])
def test_other_bytes_are_not_a_session(saved):
    with pytest.raises(RunError, match="not a saved session; give what `save` returned"):
        Running(model()).restore(saved)


def test_a_session_cut_short_is_not_restored():
    saved = Running(model()).save()
    with pytest.raises(RunError, match="saved session"):
        Running(model()).restore(saved[:-2])


def test_a_digest_is_of_names_shapes_types_and_values():
    first = nn.Linear(2, 3)
    flat = nn.Linear(3, 2)
    flat.load_state_dict({"weight": first.weight.view(2, 3), "bias": first.bias[:2]})
    double = nn.Linear(2, 3).double()
    double.load_state_dict(first.state_dict())
    renamed = nn.Sequential(first)
    digests = [weights_digest([m]) for m in (first, flat, double, renamed)]
    assert len({*digests, weights_digest([first, flat])}) == 5
    assert weights_digest([first]) == digests[0]
