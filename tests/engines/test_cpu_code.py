"""The emitted code by itself: its mathematics over all numbers, and registers of other widths."""

import ctypes
import math
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from contract import assert_same, draw, marks
from fresh import hoisted, renamed
from llvmlite import binding as llvm
from torch.nn import functional as F

from recurra.cells import CELLS
from recurra.engines.cpu.emit import maths
from recurra.engines.cpu.emit.llvm_text import FunctionText, literal
from recurra.engines.cpu.emit.time_loop import emit
from recurra.engines.cpu.emit.weight_gradient import emit_gradient, shape_for
from recurra.engines.cpu.jit.llvm import addresses, host
from recurra.engines.cpu.plan.target import Target, restricted, target_for
from recurra.engines.cpu.plan.tiling import make_plan
from recurra.engines.cpu.run import bound_call, compiled_loop, products
from recurra.errors import EngineError
from recurra.passes import lower

TYPES = {"float": torch.float32, "double": torch.float64}
EXACT = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-abs(x))),
    "log_sigmoid": lambda x: np.minimum(x, 0) - np.log1p(np.exp(-abs(x))),
}
BOUNDS = {"exp": 1, "log": 1, "log1p": 1, "sigmoid": 2.5, "tanh": 3}  # of others 2
QUOTIENT = 6  # of tanh in float32
LOOP = """
define void @run(ptr %x, ptr %y, i64 %n) {{
entry:
  br label %go
go:
  %i = phi i64 [0, %entry], [%j, %go]
  %p = getelementptr {v}, ptr %x, i64 %i
  %q = getelementptr {v}, ptr %y, i64 %i
  %a = load {v}, ptr %p, align 4
  %r = call {v} @recurra.{name}({v} %a)
  store {v} %r, ptr %q, align 4
  %j = add i64 %i, 1
  %m = icmp slt i64 %j, %n
  br i1 %m, label %go, label %end
end:
  ret void
}}
"""


def run(name, element, x):
    """A vector function over numbers; the loop works on whole registers, and at least one."""
    lanes = host().lanes(4 if element == "float" else 8)
    assert len(x) > 0
    assert len(x) % lanes == 0, f"{len(x)} numbers fill no whole registers of {lanes}"
    functions = "".join(maths.function(f, element, lanes) for f in maths.FUNCTIONS)
    text = maths.declarations(element, lanes) + functions
    text += LOOP.format(v=FunctionText(element, lanes).vector, name=name)
    (address,) = addresses(text, ("run",), host())
    y = torch.empty_like(x)
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(address)
    call(x.data_ptr(), y.data_ptr(), len(x) // lanes)
    return y


def dense(dtype):
    """Numbers of every size down to the smallest, denser where a function bends, and around 1."""
    tiny = torch.logspace(-323, 308, 40000, dtype=torch.float64)
    spans = [torch.linspace(-r, r, 40000, dtype=torch.float64) for r in (1, 2, 20, 120, 750)]
    return torch.cat([tiny, -tiny, *spans, 1 + spans[0] / 1000]).to(dtype)


@pytest.mark.parametrize("element", TYPES)
@pytest.mark.parametrize("name", maths.FUNCTIONS)
def test_accuracy(name, element):
    """In units of the last place; results with fewer digits than others may be 0."""
    x, limits = dense(TYPES[element]), torch.finfo(TYPES[element])
    with np.errstate(all="ignore"):
        wanted = EXACT[name](x.numpy().astype(np.longdouble))
        rounded = wanted.astype(x.numpy().dtype)
    found = run(name, element, x).numpy()
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(found[~finite], rounded[~finite])
    full = finite & (np.abs(wanted) > 4 * limits.tiny)
    unit = limits.eps * np.exp2(np.floor(np.log2(np.abs(wanted[full]))))
    bound = QUOTIENT if (name, element) == ("tanh", "float") else BOUNDS.get(name, 2)
    assert (np.abs(found[full] - wanted[full]) / unit).max() < bound
    rest = finite & ~full
    assert np.abs(found[rest] - wanted[rest]).max() <= 4 * limits.tiny
    if name in ("expm1", "log1p", "tanh"):
        np.testing.assert_array_equal(found[rest], rounded[rest])


@pytest.mark.parametrize("element", TYPES)
@pytest.mark.parametrize("name", maths.FUNCTIONS)
def test_signs_of_zero_infinity_and_nan(name, element):
    x = torch.tensor([0.0, -0.0, math.inf, -math.inf, 1e38, -1e38, math.nan, 1e-45])
    x = x.to(TYPES[element]).repeat(host().register_bytes // 16)
    others = {"softplus": F.softplus, "log_sigmoid": F.logsigmoid}
    reference = others.get(name) or getattr(torch, name)
    found, wanted = run(name, element, x), reference(x)
    torch.testing.assert_close(found, wanted, equal_nan=True)
    there = ~wanted[:6].isnan()
    assert torch.equal(found[:6].signbit() & there, wanted[:6].signbit() & there)


@pytest.mark.parametrize("count", [0, 3, 63])
def test_numbers_that_fill_no_register_are_refused(count):
    with pytest.raises(AssertionError):
        run("exp", "float", torch.zeros(count))


def test_constants_that_no_float_holds():
    assert literal(1e300, "float") == literal(math.inf, "float")
    assert literal(0.1, "float") != literal(0.1, "double")


TARGETS = {
    "sse": Target("x86-64-v2", "", 16, 16),
    "avx2": Target("haswell", "", 32, 16),
    "avx512": Target("skylake-avx512", "", 64, 32),
    "neon": Target("apple-m1", "+neon", 16, 32),
}
TRIPLES = {"neon": "aarch64-unknown-linux-gnu"}
NEEDS = {"sse": "sse4.2", "avx2": "avx2", "avx512": "avx512f", "neon": "neon"}
NAMES = {"sse": r"%xmm\d+", "avx2": r"%ymm\d+", "avx512": r"%zmm\d+", "neon": r"\bv\d+\.\d"}
WIDER = {"sse": "%ymm", "avx2": "%zmm", "avx512": "%tmm", "neon": "%xmm"}


def as_if(name):
    """A target as this processor can run it: LLVM brings other widths to the registers it has."""
    target = TARGETS[name]
    if dict(llvm.get_host_cpu_features()).get(NEEDS[name]):
        return target
    return replace(host(), register_bytes=target.register_bytes, registers=target.registers)


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, torch.float32) for name in TARGETS), ("avx512", torch.float64)]
)
def test_code_for_other_processors_runs(name, dtype, monkeypatch):
    """As if this were such a processor; every file that asks which it is gets that answer."""
    target = as_if(name)
    for module in (bound_call, compiled_loop, products):
        monkeypatch.setattr(module, "host", lambda: target)
    lengths, resets = marks(6, 13)
    cell = renamed(CELLS["gru"])
    drawn = draw(cell, hidden=37, inputs=21, batch=13, dtype=dtype)
    assert_same(cell, drawn)
    assert_same(cell, drawn, lengths=lengths, resets=resets)
    hoisted(monkeypatch)
    assert_same(renamed(CELLS["gru"]), drawn)


def assembly(text, name, target=None):
    """What LLVM makes of a module for a processor, optimised."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    triple = llvm.Target.from_triple(TRIPLES.get(name, "x86_64-unknown-linux-gnu"))
    target = target or TARGETS[name]
    machine = triple.create_target_machine(cpu=target.cpu, features=target.features, opt=3)
    module = llvm.parse_assembly(text)
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(2))
    builder.getModulePassManager().run(module, builder)
    return machine.emit_assembly(module)


def assert_at_home(text, name):
    """Code for the widest registers there are, many of them, and no wider ones."""
    used = {r.partition(".")[0] for r in re.findall(NAMES[name], text)}
    assert len(used) >= TARGETS[name].registers // 4
    assert WIDER[name] not in text
    # Without such an instruction: two, not a call of the C library's fma for each number.
    fused = re.search(r"\bv?fm(add|la)|\bfma", text)
    assert not fused if name == "sse" else fused


@pytest.mark.parametrize("name", TARGETS)
def test_loops_use_the_registers_of_a_processor(name):
    lowered, sizes = lower(CELLS["lstm"].graph()), {"input_size": 64, "hidden_size": 64}
    for kind in ("forward", "backward"):
        loop, schedule = lowered.loops[kind], lowered.schedules[kind]
        plan = make_plan(loop, schedule, sizes, "float", TARGETS[name])
        assert_at_home(assembly(emit(plan, "loop"), name), name)


@pytest.mark.parametrize("element", TYPES)
@pytest.mark.parametrize("name", TARGETS)
def test_products_use_the_registers_of_a_processor(name, element):
    shape = shape_for(element, TARGETS[name])
    assert shape.lanes * (4 if element == "float" else 8) == TARGETS[name].register_bytes
    assert_at_home(assembly(emit_gradient(shape), name), name)


@pytest.mark.parametrize("name", ["avx2", "avx512"])
def test_the_target_asked_for_is_all_that_is_used(name):
    features = dict(llvm.get_host_cpu_features())
    if not features.get(NEEDS[name]):
        pytest.skip(f"this processor has no {NEEDS[name]}")
    target = target_for(llvm.get_host_cpu_name(), restricted(features, name))
    assert target.register_bytes == TARGETS[name].register_bytes
    text = assembly(emit_gradient(shape_for("float", target)), name, target)
    assert re.search(NAMES[name], text)
    assert WIDER[name] not in text


def test_a_target_that_this_processor_cannot_be():
    with pytest.raises(EngineError, match=r"RECURRA_TARGET='neon' is not .* avx2, or unset"):
        restricted({"avx2": True, "fma": True}, "neon")
    with pytest.raises(EngineError, match="it can be none by name, or unset"):
        restricted({"neon": True}, "avx512")


HOST = "from recurra.engines.cpu.jit.llvm import host; print(host().register_bytes, repr(host()))"


def test_the_setting_chooses_the_target_and_with_it_the_key_of_the_cache():
    """Code is found by the target's description."""
    having = [n for n in ("avx2", "avx512") if dict(llvm.get_host_cpu_features()).get(NEEDS[n])]
    found = {}
    for name in having:
        environment = os.environ | {"RECURRA_TARGET": name}
        found[name] = subprocess.check_output([sys.executable, "-c", HOST], env=environment)
    assert len(set(found.values())) == len(having)
    assert all(int(v.split()[0]) == TARGETS[n].register_bytes for n, v in found.items())


def test_targets():
    assert target_for("a", {"avx512f": True, "avx2": True, "fma": True}).register_bytes == 64
    assert target_for("a", {"avx512f": False, "avx2": True, "fma": True}).lanes(4) == 8
    assert target_for("a", {"neon": True}) == Target("a", "+neon", 16, 32)
    assert target_for("a", {"avx2": True, "fma": False}).register_bytes == 16
