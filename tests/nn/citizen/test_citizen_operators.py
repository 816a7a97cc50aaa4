"""The operators that tracers and modes see: torch's own checks of them, shapes, operations."""

import subprocess
import sys

import pytest
import torch
from torch.nn.utils import parametrize
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from helpers.citizens import CELLS, KINDS, TORCH_LAYERS, close, gradients, layer, loss, oracle
from recurra.compile import ENGINES


class Calls(TorchDispatchMode):
    """Notes what an operator of ours is called with."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.namespace == "recurra":
            self.seen.append((function, args))
        return function(*args, **kwargs or {})


def calls(kind, *, steps=4, training=True, **given):
    """The operators, with arguments, of one training step or one forward run."""
    module, x = layer(kind), torch.randn(steps, 2, 3, requires_grad=True)
    with Calls() as noted, torch.set_grad_enabled(training):
        y = module(x, **given)
        if training:
            loss(y).backward()
    return noted.seen


MARKS = torch.tensor([[False, True], [True, False], [False, False], [False, True]])
GIVEN = {
    "plain": {},
    "single": {"steps": 1},
    "inference": {"training": False},
    "resets": {"resets": MARKS},
    "lengths": {"lengths": torch.tensor([4, 4])},
    "both": {"lengths": torch.tensor([4, 4]), "resets": MARKS},
}


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("kind", ["gru", "own"])
def test_torch_finds_no_fault(kind, given):
    seen = calls(kind, **GIVEN[given])
    assert [f.__name__.partition(".")[0] for f, _ in seen] == ["loop", "loop_backward"][: len(seen)]
    assert len(seen) == (1 if given == "inference" else 2)
    for function, args in seen:
        tests = ["test_schema", "test_autograd_registration", "test_faketensor"]
        torch.library.opcheck(function, args, test_utils=tests)


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=() if k in ("lstm", "own") else pytest.mark.slow) for k in KINDS]
)
def test_torch_finds_no_fault_in_traced_gradients(kind):
    (loop, args), (backward, given) = calls(kind)
    given = [[t.detach() for t in a] if isinstance(a, list) else a for a in given]
    for function, each in ((loop, args), (backward, given)):
        torch.library.opcheck(function, each, test_utils="test_aot_dispatch_dynamic")


@pytest.mark.parametrize("steps", [1, 2])
def test_kept_values_have_the_shapes_foretold(steps):
    module, x = layer("lstm"), torch.randn(steps, 2, 3)
    torch._dynamo.reset()
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    wanted = gradients(oracle(module, "lstm"), x.double())
    found = torch.autograd.grad(loss(compiled(x)), list(module.parameters()))
    close(found, list(wanted.values())[1:])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_of_a_named_engine_in_one_graph(kind, engine):
    cell, x = CELLS[kind](3, 4, engine=engine), torch.randn(2, 3)
    torch._dynamo.reset()
    compiled = torch.compile(cell, backend="aot_eager", fullgraph=True)
    close(compiled(x), cell(x))
    weights = list(cell.parameters())
    close(
        torch.autograd.grad(loss(compiled(x)), weights), torch.autograd.grad(loss(cell(x)), weights)
    )


def test_an_interpreted_layer_in_one_graph():
    module, x = layer("own", engine="interp"), torch.randn(4, 2, 3)
    torch._dynamo.reset()
    close(torch.compile(module, backend="aot_eager", fullgraph=True)(x), module(x))


FUNCTIONS = {
    "grad": lambda f: torch.func.grad(f),
    "per sample": lambda f: torch.vmap(torch.func.grad(f)),
    "jvp": lambda f: lambda x: torch.func.jvp(f, (x,), (torch.ones_like(x),))[1],
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functional_derivatives_in_a_compiled_graph(function):
    module, x = layer("gru"), torch.randn(3, 2, 3)
    x = torch.stack([x, 2 * x]) if function == "per sample" else x
    torch._dynamo.reset()
    derived = FUNCTIONS[function](lambda x: loss(module(x)))
    close(torch.compile(derived, backend="aot_eager", fullgraph=True)(x), derived(x))


def test_second_gradients_in_a_mode():
    module, x = layer("gru"), torch.randn(3, 2, 3, requires_grad=True)

    def second():
        (first,) = torch.autograd.grad(loss(module(x)), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), [x, *module.parameters()])

    with Calls() as noted:
        found = second()
    assert noted.seen
    close(found, second())


def test_a_program_of_an_unknown_cell_says_so():
    x, w = torch.randn(4, 2, 3), torch.randn(4, 4)
    with pytest.raises(RuntimeError, match="No-such-cell, which this process doesn't know"):
        torch.ops.recurra.loop(
            [x, w], [x[0]], "No-such-cell", False, 4, False, None, None, False, None, False
        )


EAGER = """
import sys, torch, recurra.cells, recurra.nn
module, x = recurra.nn.LSTM(3, 4, engine="cpu"), torch.randn(5, 2, 3)
{run}
print("torch._dynamo" in sys.modules)
"""
RUNS = {
    "training": "module(x)[0].sum().backward()",
    "the operator": """
from recurra.compile import Sequences, kernel
loop = kernel(recurra.cells.RNN(), bias=False, engine="cpu").choose([x], Sequences(5))
torch.ops.recurra.loop([torch.randn(4, 4), torch.randn(4, 3, requires_grad=True), x],
    [torch.zeros(2, 4)], loop.code.key, True, *Sequences(5))[0].sum().backward()
""",
}


@pytest.mark.parametrize("run", RUNS)
def test_eager_runs_load_no_compiler_of_torchs(run):
    code = EAGER.format(run=RUNS[run])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def flops(module, x, *states):
    with FlopCounterMode(display=False) as counter:
        forward = module(x, *states)
        first = counter.get_total_flops()
        loss(forward).backward()
    return first, counter.get_total_flops() - first


@pytest.mark.parametrize("kind", TORCH_LAYERS)
def test_flops_are_those_of_torchs_layer(kind):
    options = {"num_layers": 2, "bidirectional": True}
    x = torch.randn(5, 2, 3, requires_grad=True)
    h = torch.randn(4, 2, 4, requires_grad=True)
    states = (h, h) if kind == "lstm" else h
    with torch.backends.mkldnn.flags(enabled=False):
        wanted = flops(TORCH_LAYERS[kind](3, 4, **options), x, states)
    assert flops(layer(kind, **options), x, states) == wanted
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[kind]
    assert wanted[0] == 2 * 5 * 2 * 2 * gates * 4 * (3 + 4 + 8 + 4)


class Counted(torch.nn.Module):
    """A parametrisation that counts how often it is evaluated."""

    count = 0

    def forward(self, weight):
        self.count += 1
        return weight * 1.0


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_parametrised_weight_is_evaluated_once_a_run(kind, is_packed):
    module, counted = layer(kind), Counted()
    name = next(n for n, _ in module.named_parameters())
    parametrize.register_parametrization(module, name, counted)
    x = torch.randn(5, 2, 3)
    before = counted.count
    module(torch.nn.utils.rnn.pack_padded_sequence(x, [5, 3]) if is_packed else x)
    assert counted.count == before + 1
