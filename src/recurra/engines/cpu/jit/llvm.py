"""LLVM: the one file that imports llvmlite. Text goes in, the address of a function comes out."""

from __future__ import annotations

import functools
import importlib
import itertools
import threading
from collections.abc import Callable
from typing import Any

from recurra import settings
from recurra.engines.cpu.jit import cache
from recurra.engines.cpu.jit.cache import make_key
from recurra.engines.cpu.plan.target import Target, restricted, target_for

__all__ = ["addresses", "cached_addresses", "host"]

_LIBRARIES: list[Any] = []
_NUMBERS = itertools.count()
_LOADED: dict[str, tuple[int, ...]] = {}
_LOCK = threading.Lock()


@functools.cache
def _llvm() -> Any:
    llvm = importlib.import_module("llvmlite.binding")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


@functools.cache
def host() -> Target:
    """The processor that this runs on, or what RECURRA_TARGET leaves of it."""
    llvm, name = _llvm(), settings.target_name()
    features = dict(llvm.get_host_cpu_features())
    if name is not None:
        features = restricted(features, name)
    return target_for(llvm.get_host_cpu_name(), features)


def addresses(text: str, names: tuple[str, ...], target: Target) -> tuple[int, ...]:
    """Compile a module's text and give the addresses of its functions."""
    return _load(_compile(text, target), names)


def cached_addresses(
    description: str, text: Callable[[], str], names: tuple[str, ...], target: Target
) -> tuple[int, ...]:
    """The same, with the code kept on disk and in this process, where RECURRA_CACHE isn't off.

    `description`, in which equal texts are equal, finds it; `text` is called only to compile.
    Threads that ask at once wait for one compilation.
    """
    folder = settings.cache_folder()
    if folder is None:
        return addresses(text(), names, target)
    key = make_key(_version(), repr(target), repr(names), description)
    with _LOCK:
        if key not in _LOADED:
            code = cache.load(folder, key)
            if code is None:
                code = _compile(text(), target)
                cache.store(folder, key, code)
            _LOADED[key] = _load(code, names)
        return _LOADED[key]


def _version() -> str:
    llvm = _llvm()
    version = importlib.import_module("llvmlite").__version__
    return f"llvmlite {version}, LLVM {llvm.llvm_version_info}, {llvm.get_default_triple()}"


def _compile(text: str, target: Target) -> bytes:
    """A module's object code."""
    llvm = _llvm()
    module = llvm.parse_assembly(text)
    module.verify()
    options = {"cpu": target.cpu, "features": target.features, "opt": 3, "reloc": "pic"}
    machine = llvm.Target.from_default_triple().create_target_machine(**options)
    tuning = llvm.create_pipeline_tuning_options(speed_level=2)
    # The text is vectors and tiles already: looking for more takes as long again and finds none.
    tuning.loop_vectorization = tuning.slp_vectorization = tuning.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


@functools.cache
def _linker() -> Any:
    llvm = _llvm()
    return llvm.create_lljit_compiler(llvm.Target.from_default_triple().create_target_machine())


def _load(code: bytes, names: tuple[str, ...]) -> tuple[int, ...]:
    """Bring object code into memory, linked with this process's symbols such as memset."""
    builder = _llvm().JITLibraryBuilder().add_object_img(code).add_current_process()
    for name in names:
        builder.export_symbol(name)
    library = builder.link(_linker(), f"recurra.{next(_NUMBERS)}")
    _LIBRARIES.append(library)
    return tuple(int(library[name]) for name in names)
