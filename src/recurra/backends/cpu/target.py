"""What the processor can do, as far as the emitted code depends on it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Target", "target_for"]


@dataclass(frozen=True)
class Target:
    """A processor: LLVM's name and features for it, and how wide and how many its registers are."""

    cpu: str
    features: str
    register_bytes: int
    registers: int

    def lanes(self, element_bytes: int) -> int:
        """Elements in a register."""
        return self.register_bytes // element_bytes


def target_for(cpu: str, features: dict[str, bool]) -> Target:
    """The target of a processor that LLVM describes so."""
    text = ",".join(f"{'+' if on else '-'}{name}" for name, on in sorted(features.items()))
    if features.get("avx512f"):
        return Target(cpu, text, 64, 32)
    if features.get("avx2") and features.get("fma"):
        return Target(cpu, text, 32, 16)
    return Target(cpu, text, 16, 32 if features.get("neon") else 16)
