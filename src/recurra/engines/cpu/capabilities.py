"""Capabilities of the cpu engine: a refusal names the equation and the engines that can."""

from recurra.engines.cpu.emit.equations import RULES
from recurra.errors import EngineError
from recurra.ir import OPS, Graph, Node

__all__ = ["refuse"]


def refuse(graph: Graph) -> None:
    """Raise EngineError unless every value of a step can be compiled."""
    for node in graph.nodes:
        if node in graph.stateful and not _has_rule(node):
            raise EngineError(
                f"The cpu engine has no rule for `{node.op}` ({node.where}); engines that have: "
                "interp."
            )


def _has_rule(node: Node) -> bool:
    return OPS[node.op].kind in ("leaf", "product", "structure") or node.op in RULES
