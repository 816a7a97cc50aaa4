"""LLVM: the one file that imports llvmlite. Text goes in, the address of a function comes out."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from weft.backends.cpu.target import Target, target_for

__all__ = ["addresses", "host"]

_KEPT: list[Any] = []


@functools.cache
def _llvm() -> Any:
    llvm = importlib.import_module("llvmlite.binding")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


@functools.cache
def host() -> Target:
    """The processor that this runs on."""
    llvm = _llvm()
    return target_for(llvm.get_host_cpu_name(), dict(llvm.get_host_cpu_features()))


def addresses(text: str, names: tuple[str, ...], target: Target) -> tuple[int, ...]:
    """Compile a module's text and give the addresses of its functions."""
    llvm = _llvm()
    module = llvm.parse_assembly(text)
    module.verify()
    options = {"cpu": target.cpu, "features": target.features, "opt": 3}
    machine = llvm.Target.from_default_triple().create_target_machine(**options)
    tuning = llvm.create_pipeline_tuning_options(speed_level=2)
    # The text is vectors and tiles already: looking for more takes as long again and finds none.
    tuning.loop_vectorization = tuning.slp_vectorization = tuning.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(module, builder)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    _KEPT.append(engine)
    return tuple(int(engine.get_function_address(name)) for name in names)
