"""The emitted code by itself: its mathematics over all numbers, and registers of other widths."""

import ctypes
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from contract import assert_same, draw, marks
from llvmlite import binding as llvm

from weft.backends.cpu import engine, maths
from weft.backends.cpu.emit import emit
from weft.backends.cpu.machine import addresses, host
from weft.backends.cpu.plan import make_plan
from weft.backends.cpu.target import Target, target_for
from weft.backends.cpu.text import Text, literal
from weft.cells import CELLS, LSTM
from weft.passes import lower

TYPES = {"float": torch.float32, "double": torch.float64}
EXACT = {
    "exp": np.exp,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-abs(x))),
}
BOUNDS = {"float": 2.5e-7, "double": 4.5e-16}
LOOP = """
define void @run(ptr %x, ptr %y, i64 %n) {{
entry:
  br label %go
go:
  %i = phi i64 [0, %entry], [%j, %go]
  %p = getelementptr {v}, ptr %x, i64 %i
  %q = getelementptr {v}, ptr %y, i64 %i
  %a = load {v}, ptr %p, align 4
  %r = call {v} @weft.{name}({v} %a)
  store {v} %r, ptr %q, align 4
  %j = add i64 %i, 1
  %m = icmp slt i64 %j, %n
  br i1 %m, label %go, label %end
end:
  ret void
}}
"""


def run(name, element, x):
    """A vector function over numbers, as many as fill whole registers."""
    lanes = host().lanes(4 if element == "float" else 8)
    functions = "".join(maths.function(f, element, lanes) for f in maths.FUNCTIONS)
    text = maths.declarations(element, lanes) + functions
    text += LOOP.format(v=Text(element, lanes).vector, name=name)
    (address,) = addresses(text, ("run",), host())
    y = torch.empty_like(x)
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(address)
    call(x.data_ptr(), y.data_ptr(), len(x) // lanes)
    return y


def dense(dtype):
    tiny = torch.logspace(-320, 3, 40000, dtype=torch.float64)
    spans = [torch.linspace(-r, r, 40000, dtype=torch.float64) for r in (1, 20, 120, 750)]
    return torch.cat([tiny, -tiny, *spans]).to(dtype)


@pytest.mark.parametrize("element", TYPES)
@pytest.mark.parametrize("name", maths.FUNCTIONS)
def test_accuracy(name, element):
    x = dense(TYPES[element])
    with np.errstate(over="ignore"):
        wanted = EXACT[name](x.numpy().astype(np.longdouble))
    found = run(name, element, x).numpy().astype(np.longdouble)
    finite = np.abs(wanted) <= torch.finfo(TYPES[element]).max
    error = np.abs(found - wanted)[finite] / np.maximum(np.abs(wanted[finite]), 1)
    relative = np.abs(found - wanted)[finite] / np.abs(wanted[finite]).clip(1e-30)
    assert error.max() < BOUNDS[element]
    assert relative[np.abs(wanted[finite]) > 1e-30].max() < BOUNDS[element]
    assert np.isposinf(found[~finite]).all()


@pytest.mark.parametrize("element", TYPES)
@pytest.mark.parametrize("name", maths.FUNCTIONS)
def test_signs_of_zero_infinity_and_nan(name, element):
    x = torch.tensor([0.0, -0.0, math.inf, -math.inf, math.nan, 1e38, -1e38, 1e-45])
    x = x.to(TYPES[element])
    reference = {"softplus": torch.nn.functional.softplus}.get(name) or getattr(torch, name)
    found, wanted = run(name, element, x), reference(x)
    torch.testing.assert_close(found, wanted, equal_nan=True)
    assert torch.equal(
        found[:-1].signbit() & ~x[:-1].isnan(), wanted[:-1].signbit() & ~x[:-1].isnan()
    )


def test_constants_that_no_float_holds():
    assert literal(1e300, "float") == literal(math.inf, "float")
    assert literal(0.1, "float") != literal(0.1, "double")


@pytest.mark.parametrize("register_bytes", [16, 64])
@pytest.mark.parametrize("dtype", TYPES.values(), ids=str)
def test_registers_of_other_widths(register_bytes, dtype, monkeypatch):
    """What the emitter makes for them, brought by LLVM to the registers that are here."""
    registers = 32 if register_bytes == 64 else 16
    other = replace(host(), register_bytes=register_bytes, registers=registers)
    monkeypatch.setattr(engine, "host", lambda: other)
    kind = type(f"LSTM{register_bytes}{str(dtype)[-2:]}", (LSTM,), {})
    lengths, resets = marks(6, 13)
    assert_same(kind(), draw(kind(), hidden=37, batch=13, dtype=dtype))
    assert_same(kind(), draw(kind(), batch=13, dtype=dtype), lengths=lengths, resets=resets)


def test_avx512_code_uses_its_registers():
    lowered = lower(CELLS["lstm"].graph())
    target = Target("skylake-avx512", "", 64, 32)
    sizes = {"input_size": 64, "hidden_size": 64}
    plan = make_plan(lowered.loops["forward"], lowered.schedules["forward"], sizes, "float", target)
    assert plan.lanes == 16
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    triple = llvm.Target.from_triple("x86_64-unknown-linux-gnu")
    machine = triple.create_target_machine(cpu="skylake-avx512", opt=3)
    assert "%zmm31" in machine.emit_assembly(llvm.parse_assembly(emit(plan, "loop")))


def test_targets():
    assert target_for("a", {"avx512f": True, "avx2": True, "fma": True}).register_bytes == 64
    assert target_for("a", {"avx512f": False, "avx2": True, "fma": True}).lanes(4) == 8
    assert target_for("a", {"neon": True}) == Target("a", "+neon", 16, 32)
    assert target_for("a", {"avx2": True, "fma": False}).register_bytes == 16
