"""The target processor, as far as the emitted code depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from recurra.errors import EngineError

__all__ = ["Target", "restricted", "target_for"]


@dataclass(frozen=True)
class Target:
    """A processor: LLVM's name and features for it, and how wide and how many its registers are."""

    cpu: str
    features: str
    register_bytes: int
    registers: int

    @property
    def byte_dot(self) -> str:
        """LLVM's name for the dot product of four bytes a lane of a register, "" without one."""
        feature = {64: "+avx512vnni", 32: "+avxvnni"}.get(self.register_bytes)
        if feature not in self.features.split(","):
            return ""
        return f"llvm.x86.avx512.vpdpbusd.{8 * self.register_bytes}"

    def lanes(self, element_bytes: int) -> int:
        """Elements in a register."""
        return self.register_bytes // element_bytes


NAMES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "avx2": (("avx2", "fma"), ("avx512", "avx10", "amx")),
    "avx512": (("avx512f",), ()),
}
"""Targets to ask for: the features that each needs, and the prefixes of those it leaves unused."""


def restricted(features: Mapping[str, bool], name: str) -> dict[str, bool]:
    """A processor's features as a target of `NAMES` has them.

    Raises EngineError for another name, and for a target that the processor can't be.
    """
    having = [n for n, (needed, _) in NAMES.items() if all(features.get(f) for f in needed)]
    if name not in having:
        raise EngineError(
            f"RECURRA_TARGET={name!r} is not a target of this processor; it can be "
            f"{' or '.join(having) or 'none by name'}, or unset for the widest."
        )
    lacking = NAMES[name][1]
    return {f: on and not f.startswith(lacking) for f, on in features.items()}


def target_for(cpu: str, features: Mapping[str, bool]) -> Target:
    """The target of a processor that LLVM describes so."""
    text = ",".join(f"{'+' if on else '-'}{name}" for name, on in sorted(features.items()))
    if features.get("avx512f"):
        return Target(cpu, text, 64, 32)
    if features.get("avx2") and features.get("fma"):
        return Target(cpu, text, 32, 16)
    return Target(cpu, text, 16, 32 if features.get("neon") else 16)
