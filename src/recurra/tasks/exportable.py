"""A network of a trained product as something that can be written for other machines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from recurra.nn.program import Program

__all__ = ["Exportable", "ProgramRun"]


class ProgramRun(Protocol):
    """Runs a program elsewhere: its output for an input (T, B, size), and its states after.

    lengths (B,): of a program of ragged rows. states: what it gave before, None at the beginning.
    """

    def __call__(self, x: Tensor, lengths: Tensor | None, states: Any) -> tuple[Tensor, Any]: ...


@dataclass(frozen=True)
class Exportable:
    """A network, its program, and how the two are called.

    | form   | the network                                             |
    |--------|---------------------------------------------------------|
    | stream | `net(tokens (T, B), states)` gives outputs and states   |
    | items  | `net(features, lengths)` gives outputs                  |
    | frames | the same gives outputs and their lengths                |
    | whole  | `net(inputs)` gives outputs                             |
    """

    net: nn.Module
    program: Program
    form: Literal["stream", "items", "frames", "whole"]

    def called(self, x: Tensor, lengths: Tensor | None, states: Any) -> tuple[Tensor, Any]:
        """The network's own output for an input of the program, and its states after.

        It is the class's `forward`, in evaluation mode, whatever stands in for it.
        """
        net = self.net.eval()
        forward: Callable[..., Any] = type(net).forward
        if self.form == "stream":
            found: tuple[Tensor, Any] = forward(net, x.squeeze(-1), states)
            return found
        if self.form == "whole":
            return forward(net, x), None
        output = forward(net, x, lengths)
        return (output[0] if self.form == "frames" else output), None

    def stand_in(self, run: ProgramRun) -> Callable[..., Any]:
        """A `forward` of the network by a run of its program elsewhere."""

        def stream(tokens: Tensor, states: Any = None) -> tuple[Tensor, Any]:
            return run(tokens.unsqueeze(-1), None, states)

        def items(features: Tensor, lengths: Tensor) -> Tensor:
            return run(features, lengths, None)[0]

        def frames(features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
            return run(features, lengths, None)[0], self.program.output.steps_of(lengths)

        def whole(inputs: Tensor) -> Tensor:
            return run(inputs, None, None)[0]

        forms: dict[str, Callable[..., Any]] = {
            "stream": stream,
            "items": items,
            "frames": frames,
            "whole": whole,
        }
        return forms[self.form]

    def sample(self, steps: int, batch: int, generator: torch.Generator) -> Tensor:
        """An input (T, B, size) drawn at random: numbers, or tokens that the network knows."""
        size = self.program.input.size
        if self.program.input.kind != "tokens":
            return torch.randn(steps, batch, size, generator=generator)
        tables = {
            op.name: len(op.tensors["table"])
            for op in self.program.operations
            if "table" in op.tensors
        }
        first = torch.randint(1, tables["embedding"], (steps, batch, 1), generator=generator)
        if size == 1:
            return first
        letters = torch.randint(
            1, tables["spelling"], (steps, batch, size - 1), generator=generator
        )
        ends = torch.randint(1, size, (steps, batch, 1), generator=generator)
        letters = torch.where(torch.arange(size - 1) < ends, letters, 0)
        return torch.cat([first, letters], -1)
