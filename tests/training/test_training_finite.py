"""Numbers that aren't finite: training stops, names the first bad tensor, saves none of it."""

import pytest
import safetensors.torch
import torch
from torch import nn
from training_toys import Noise, Toy, last_checkpoint, new_toy, square_loss, train

from recurra.cells import Cell, sigmoid, sqrt
from recurra.errors import TrainingError
from recurra.nn import Recurrent
from recurra.training import Run
from recurra.training.finite import first_bad
from recurra.training.randomness import Before, random_states

NAN = float("nan")


class At(Noise):
    """Noise whose window at `at` of the first epoch goes through `change`."""

    def __init__(self, at, change):
        super().__init__()
        self.at, self.change = at, change

    def window(self, epoch, index):
        batch = super().window(epoch, index)
        return self.change(batch) if (epoch, index) == (0, self.at) else batch


class Bad(nn.Module):
    def forward(self, x):
        return x / 0


def stopped(path, message, **how):
    with pytest.raises(TrainingError, match=message):
        train(path, **how)
    return path


def assert_finite(path):
    """All that the run has saved is finite."""
    for file in [*path.rglob("*.safetensors")]:
        for tensor in safetensors.torch.load(file.read_bytes()).values():
            assert not tensor.is_floating_point() or tensor.isfinite().all()


def test_a_bad_parameter_at_the_start(tmp_path):
    model = new_toy()
    model.rnn.weight_hh_l0.data[0, 0] = NAN
    stopped(tmp_path, "Before the first step, the parameter rnn.weight_hh_l0", model=model)
    assert not (tmp_path / "model.safetensors").exists()


def test_a_parameter_that_went_bad_between_steps(tmp_path):
    model = new_toy()

    def poisoning(model, batch, state):
        if batch.max() > 3:
            model.head.bias.data.fill_(NAN)
        return square_loss(model, batch, state)

    windows = At(5, lambda batch: batch + 3)
    stopped(
        tmp_path,
        "At step 6 the loss is nan.*: the parameter head.bias",
        model=model,
        windows=windows,
        loss=poisoning,
    )
    assert last_checkpoint(tmp_path).name == "step-00000004"
    assert_finite(tmp_path)


def test_a_bad_input(tmp_path):
    windows = At(4, lambda batch: batch.index_fill(0, torch.tensor([2]), NAN))
    stopped(tmp_path, "At step 5 the loss is nan.*: the batch of data", windows=windows)
    assert_finite(tmp_path)


def test_a_bad_module(tmp_path):
    model = new_toy()
    model.drop = Bad()
    stopped(tmp_path, r"At step 1 the loss.*: the output of drop \(Bad\)", model=model)
    assert_finite(tmp_path)


def test_a_bad_input_of_a_module(tmp_path):
    model = new_toy()
    plain = model.forward
    model.forward = lambda x, state: plain(x / 0, state)
    stopped(tmp_path, r"At step 1 .*: the input of rnn \(LSTM\)", model=model)


def test_a_bad_loss(tmp_path):
    def bad(model, batch, state):
        value, count, state = square_loss(model, batch, state)
        return value - value.detach() + torch.tensor(0.0).log(), count, state

    stopped(tmp_path, "At step 1 the loss is -inf.*: the loss itself", loss=bad)


def test_a_bad_gradient(tmp_path):
    model = new_toy()
    model.rnn.weight_ih_l0.register_hook(lambda gradient: gradient * NAN)
    stopped(
        tmp_path,
        "At step 1 the gradient's norm is nan.*: the gradient of rnn.weight_ih_l0",
        model=model,
    )
    assert_finite(tmp_path)


class Quotient(Cell):
    """0 / 0 where both gates are shut."""

    states = ("h",)
    gates = ("a", "b")

    def step(self, x, h, W, b):
        shut = sigmoid(W.a @ x + b.a)
        share = shut / (shut + sigmoid(W.b @ x + b.b))
        return share + h


class Root(Cell):
    """Finite, but for a slope where the gate is shut."""

    states = ("h",)

    def step(self, x, h, W, b):
        gate = sigmoid(W @ x + b)
        return 0.5 * h + sqrt(gate)


def own(cell, bias):
    """A model whose middle layer is of that cell, with this bias."""
    torch.manual_seed(0)
    model = nn.ModuleList([Recurrent("gru", 3, 4), Recurrent(cell, 4, 4), nn.Linear(4, 1)])
    nn.init.constant_(model[1].b_l0, bias)
    return model


def layered_loss(model, batch, state):
    y, _ = model[0](batch)
    y, _ = model[1](y)
    return model[2](y).square().mean(), 1, None


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        (Quotient(), r"loss is nan.*the output of 1 \(Recurrent\); it began in the equation"),
        (Root(), r"gradient's norm is nan.*it began in the derivative of the equation"),
    ],
)
def test_the_equation_where_it_began(tmp_path, cell, what):
    text = {Quotient: "shut / ", Root: r"sqrt\(gate\)"}[type(cell)]
    place = rf" at test_training_finite.py:\d+, `[^`]*{text}[^`]*`, of layer `1`, at time step \d"
    remedy = r".*are up to \S+ there: write it in a form that is finite for them; docs/cells.md"
    with pytest.raises(TrainingError, match=what + place + remedy) as caught:
        train(tmp_path, model=own(cell, -200.0), loss=layered_loss)
    assert "learning_rate" not in str(caught.value)
    assert_finite(tmp_path)


@pytest.mark.parametrize("cell", [Quotient(), Root()], ids=["value", "slope"])
def test_the_equation_of_a_layer_of_16_bits(tmp_path, cell):
    def loss(model, batch, state):
        value, count, state = layered_loss(model, batch.bfloat16(), state)
        return value.float(), count, state

    model = own(cell, -200.0).bfloat16()
    with pytest.raises(TrainingError, match=r"at test_training_finite.py:\d+, .*of layer `1`"):
        train(tmp_path, model=model, loss=loss)


def test_an_equation_whose_operands_are_huge_may_want_smaller_steps(tmp_path):
    class Growing(Cell):
        states = ("h",)

        def step(self, x, h, W, b):
            return h * h + W @ x + b

    message = r"the equation at .*`return h \* h .*at time step [234]\. .*up to \S+e\+[23]\d there"
    with pytest.raises(TrainingError, match=message + ".*lower learning_rate") as caught:
        train(tmp_path, model=own(Growing(), 1e15), loss=layered_loss)
    assert "of layer `1`, " in str(caught.value)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_the_equation_is_named_in_the_direction_it_ran_in(tmp_path, bidirectional, frozen):
    """Lengths and a layer that runs without gradients stand in nothing's way."""
    torch.manual_seed(0)
    first = Recurrent("gru", 3, 4)
    second = Recurrent(Root(), 4, 4, bidirectional=bidirectional)
    model = nn.ModuleList([first, second])
    last = [p for n, p in second.named_parameters() if n.startswith("b_l0")][-1]
    nn.init.constant_(last, -200.0)

    def loss(model, batch, state):
        with torch.set_grad_enabled(not frozen):
            y, _ = model[0](batch)
        y, _ = model[1](y, lengths=torch.tensor([5, 2]))
        return y.square().mean(), 1, None

    layer = "1 backward" if bidirectional else "1"
    with pytest.raises(TrainingError, match=rf"sqrt\(gate\)`, of layer `{layer}`, at time step"):
        train(tmp_path, model=model, loss=loss)


def test_the_gradient_that_went_bad_first_in_backward_order(tmp_path):
    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 1)

        def forward(self, x):
            return self.last((self.first(x) * 0).sqrt())  # the slope of the root is infinite

    def loss(model, batch, state):
        return model(batch).sum(), 1, None

    stopped(tmp_path, "the gradient of first", model=Root(), loss=loss)


def test_a_carried_state_that_went_bad(tmp_path):
    def losing(model, batch, state):
        value, count, (h, c) = square_loss(model, batch, state)
        return value, count, (h, c / 0)

    stopped(tmp_path, "At step 2 .*: the state carried", loss=losing)


def test_weights_that_overflow_in_the_update_are_not_saved(tmp_path):
    stopped(
        tmp_path,
        "After step 1, the parameter .* is not finite",
        optimizer="sgd",
        learning_rate=1e38,
        checkpoint_every=1,
        validate_every=100,
        log_every=100,
        loss=lambda model, batch, state: (1e3 * model.head.bias.sum(), 1, None),
        clip_norm=None,
    )
    assert_finite(tmp_path)


@pytest.mark.parametrize("numbers", [{"loss": NAN}, {"loss": 1.0, "perplexity": float("inf")}])
def test_a_validation_that_is_not_finite(tmp_path, numbers):
    message = "validation after step 5 gave .*, and every number must be finite"
    stopped(tmp_path, message, check=lambda model: numbers)


def test_the_model_is_as_before_the_failed_step(tmp_path):
    model = new_toy()
    stopped(tmp_path, "At step 5", model=model, windows=At(4, lambda batch: batch * NAN))
    saved = last_checkpoint(tmp_path)
    assert saved.name == "step-00000004"
    for name, tensor in safetensors.torch.load((saved / "model.safetensors").read_bytes()).items():
        assert torch.equal(model.state_dict()[name], tensor)


def test_looking_for_it_leaves_all_as_before_the_step():
    model, batch = new_toy(), Noise().window(0, 0)
    model.drop = nn.Sequential(nn.Dropout(0.5), Bad())
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = random_states()["cpu"]
    before = Before(model)
    square_loss(model, batch, None)
    bad = first_bad(model, square_loss, batch, None, before)
    assert bad.what == "the output of drop.1 (Bad)"
    assert torch.equal(random_states()["cpu"], random)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_the_repeat_draws_the_same_random_numbers():
    seen = []

    def loss(model, batch, state):
        seen.append(torch.rand(3))
        return model(batch, state)[0].sum(), 1, None

    model = new_toy()
    before = Before(model)
    loss(model, Noise().window(0, 0), None)
    assert first_bad(model, loss, Noise().window(0, 0), None, before) is None
    assert torch.equal(*seen)


def test_masks_of_infinities_may_be_saved(tmp_path):
    model = Toy()
    model.register_buffer("mask", torch.full((3,), -float("inf")))
    train(tmp_path, model=model, max_steps=2)
    assert Run.open(tmp_path).load_model()["mask"].isinf().all()
