"""torch's own samples for its recurrent modules, run against Recurra's classes of the same names.

The samples come from torch.testing: constructor arguments, inputs, reference functions and the
arguments that must be refused, with the error's type and text.
"""

import copy
import functools
import io
import pickle

import pytest
import torch
from torch.testing._internal.common_modules import ModuleErrorEnum, module_db

import recurra.nn

NAMES = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
INFOS = {info.module_cls.__name__: info for info in module_db if info.module_cls.__name__ in NAMES}
EXPECTED_SAMPLES = {"RNN": 32, "GRU": 16, "LSTM": 32, "RNNCell": 3, "LSTMCell": 2, "GRUCell": 2}


def samples(name, dtype=torch.double, requires_grad=False, training=True):
    info = INFOS[name]
    kwargs = {"device": "cpu", "dtype": dtype, "requires_grad": requires_grad, "training": training}
    return list(info.module_inputs_func(info, **kwargs))


def build(name, sample, dtype=torch.double):
    args, kwargs = sample.constructor_input.args, sample.constructor_input.kwargs
    return getattr(recurra.nn, name)(*args, **kwargs).to(dtype)


def build_pair(name, sample, dtype=torch.double):
    args, kwargs = sample.constructor_input.args, sample.constructor_input.kwargs
    made = []
    for library in (recurra.nn, torch.nn):
        torch.manual_seed(0)
        made.append(getattr(library, name)(*args, **kwargs).to(dtype))
    return made


def call(module, sample):
    return module(*sample.forward_input.args, **sample.forward_input.kwargs)


def tensors(tree):
    """Every tensor of nested tuples and packed sequences, in order."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    return [t for part in tree if part is not None for t in tensors(part)]


def test_every_module_has_its_samples():
    assert {name: len(samples(name)) for name in INFOS} == EXPECTED_SAMPLES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("dtype", "training"), [(torch.float, True), (torch.double, True), (torch.float, False)]
)
def test_forward(name, dtype, training):
    for sample in samples(name, dtype, training=training):
        ours, theirs = build_pair(name, sample, dtype)
        ours.train(training)
        torch.testing.assert_close(call(ours, sample), call(theirs, sample))
        if sample.reference_fn is not None:
            wanted = sample.reference_fn(ours, *sample.forward_input.args)
            torch.testing.assert_close(call(ours, sample), wanted)


@pytest.mark.parametrize("name", NAMES)
def test_gradients(name):
    check_gradients(name, torch.autograd.gradcheck)


LAYERS = ("LSTM", "GRU", "RNN")
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in LAYERS]


@pytest.mark.parametrize("name", [*(n for n in NAMES if n not in LAYERS), *SLOW])
def test_second_gradients(name):
    check_gradients(name, torch.autograd.gradgradcheck)


def check_gradients(name, check):
    for sample in samples(name, requires_grad=True):
        module = build(name, sample)
        inputs = tensors(sample.forward_input.args)
        names = [n for n, _ in module.named_parameters()]

        params = [p.detach().clone().requires_grad_() for p in module.parameters()]
        run = functools.partial(run_with, module, sample, names)
        assert check(run, (*inputs, *params), fast_mode=True)


def run_with(module, sample, names, *values):
    """The outputs, with these values as inputs and parameters."""
    params = dict(zip(names, values[-len(names) :], strict=True))
    args = refill(sample.forward_input.args, iter(values))
    return tuple(tensors(torch.func.functional_call(module, params, args)))


def refill(tree, given):
    if isinstance(tree, torch.Tensor):
        return next(given)
    return tuple(refill(part, given) for part in tree)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_torchs(name):
    for sample in samples(name, requires_grad=True):
        ours, theirs = build_pair(name, sample)
        inputs = tensors(sample.forward_input.args)
        found = []
        for module in (ours, theirs):
            total = sum(t.square().sum() for t in tensors(call(module, sample)))
            found.append(torch.autograd.grad(total, [*inputs, *module.parameters()]))
        torch.testing.assert_close(*found)


@pytest.mark.parametrize("name", NAMES)
def test_non_contiguous_inputs(name):
    for sample in samples(name):
        module = build(name, sample)
        spread = refill_noncontiguous(sample.forward_input.args)
        assert not all(t.is_contiguous() for t in tensors(spread))
        torch.testing.assert_close(module(*spread), call(module, sample))


def refill_noncontiguous(tree):
    if isinstance(tree, torch.Tensor):
        return torch.stack([tree, tree], dim=-1)[..., 0]
    return tuple(refill_noncontiguous(part) for part in tree)


@pytest.mark.parametrize("name", NAMES)
def test_repr_and_state_dict_keys_are_torchs(name):
    for sample in samples(name):
        ours, theirs = build_pair(name, sample)
        assert repr(ours) == repr(theirs)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        torch.testing.assert_close(dict(ours.state_dict()), dict(theirs.state_dict()))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", ["pickle", "deepcopy", "torch.save", "state_dict"])
def test_copies_compute_the_same(name, way):
    sample = samples(name)[-1]
    module = build(name, sample)
    if way == "pickle":
        twin = pickle.loads(pickle.dumps(module))
    elif way == "deepcopy":
        twin = copy.deepcopy(module)
    elif way == "torch.save":
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        twin = torch.load(file, weights_only=False)
    else:
        twin = build(name, sample)
        twin.load_state_dict(module.state_dict())
    torch.testing.assert_close(call(twin, sample), call(module, sample), rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_factory_arguments(name):
    args, kwargs = (
        samples(name)[0].constructor_input.args,
        samples(name)[0].constructor_input.kwargs,
    )
    module = getattr(recurra.nn, name)(*args, **kwargs, device="meta", dtype=torch.bfloat16)
    assert all(p.is_meta and p.dtype == torch.bfloat16 for p in module.parameters())
    with torch.device("meta"):
        assert all(p.is_meta for p in getattr(recurra.nn, name)(*args, **kwargs).parameters())


def error_samples():
    for name, info in INFOS.items():
        kwargs = {"device": "cpu", "dtype": torch.float, "requires_grad": False, "training": True}
        for index, sample in enumerate(info.module_error_inputs_func(info, **kwargs)):
            yield pytest.param(name, sample, id=f"{name}-{index}")


ERROR_SAMPLES = list(error_samples())


def test_there_are_error_samples():
    assert len(ERROR_SAMPLES) > 30


@pytest.mark.parametrize(("name", "sample"), ERROR_SAMPLES)
def test_errors(name, sample):
    given = sample.module_error_input
    args, kwargs = given.constructor_input.args, given.constructor_input.kwargs
    if sample.error_on == ModuleErrorEnum.CONSTRUCTION_ERROR:
        with pytest.raises(sample.error_type, match=sample.error_regex):
            getattr(recurra.nn, name)(*args, **kwargs)
        return
    module = getattr(recurra.nn, name)(*args, **kwargs)
    with pytest.raises(sample.error_type, match=sample.error_regex):
        call(module, given)
