"""The parameters of recurrent layers by the part they have in the equations, whoever holds them."""

from dataclasses import dataclass

from torch import Tensor, nn

from recurra.cells import Cell
from recurra.cells.regularised import recurrent_matrices
from recurra.cells.tracing import is_bias
from recurra.errors import ConfigError
from recurra.ir import Graph, in_order
from recurra.nn.init.draw import pieces
from recurra.nn.layers.recurrent import Recurrent
from recurra.nn.layers.rnn_base import RNNBase
from recurra.nn.layers.single_step import RNNCellBase

__all__ = ["Layout", "Part", "layers_of", "layouts_of"]

_TORCHS = {"weight_ih": "W", "weight_hh": "U", "bias_ih": "b", "bias_hh": "b", "weight_hr": "R"}


@dataclass(frozen=True)
class Part:
    """A stored parameter: who holds it, its name there and in the equations, what it stacks."""

    owner: nn.Module
    attribute: str
    name: str
    gates: tuple[str, ...]
    blocks: int = 1

    @property
    def value(self) -> Tensor:
        """The parameter itself. Raises ConfigError where it is computed from others."""
        if self.attribute not in dict(self.owner.named_parameters(recurse=False)):
            raise ConfigError(
                f"{self.attribute} of {type(self.owner).__name__} is computed from other "
                "parameters (weight normalisation, a parametrisation); initialise before that."
            )
        value: Tensor = getattr(self.owner, self.attribute)
        return value

    def gate(self, gate: str) -> Tensor:
        """One gate's part, as a view."""
        return self.value.chunk(len(self.gates))[self.gates.index(gate)]

    def matrices(self) -> list[Tensor]:
        """The matrices that it stacks, gate by gate and block by block, as views."""
        return pieces(self.value, len(self.gates), self.blocks)


@dataclass(frozen=True)
class Layout:
    """One layer and direction of a module: its equations and where its parameters are."""

    cell: Cell
    graph: Graph
    parts: tuple[Part, ...]

    def biases(self, gate: str) -> list[Part]:
        """The parameters that add up to a gate's bias."""
        return [
            p
            for p in self.parts
            if gate in p.gates and (is_bias(p.name) or p.name.endswith("_bias"))
        ]

    def weights(self) -> list[Part]:
        """The parameters that multiply inputs and states.

        All others are biases, scalars, and the gains and biases of normalisations.
        """
        norms = [node for node in self.graph.nodes if node.op == "normalize"]
        leaves = (leaf for node in norms for leaf in in_order(node.args[1:]))
        of_norms = {str(leaf.detail[0]) for leaf in leaves if isinstance(leaf.detail, tuple)}
        kinds = {param.name: param.kind for param in self.graph.params}
        return [
            p
            for p in self.parts
            if not is_bias(p.name) and p.name not in of_norms and kinds.get(p.name) != "scalar"
        ]

    def recurrent(self) -> list[Part]:
        """The matrices that multiply what depends on the state."""
        names = recurrent_matrices(self.graph)
        return [p for p in self.parts if p.name in names]


def layers_of(module: nn.Module) -> list[Layout]:
    """Every layer and direction of the recurrent modules inside `module`, which it may be itself.

    Raises ConfigError where there is none.
    """
    found = [layer for inner in module.modules() for layer in layouts_of(inner)]
    if not found:
        raise ConfigError(
            f"{type(module).__name__} holds no recurrent layer of Recurra; recurra.nn.Recurrent, "
            "RNN, LSTM and GRU are such, and recurra.accelerate makes them of torch's."
        )
    return found


def layouts_of(module: nn.Module) -> list[Layout]:
    """Each layer and direction of `module` itself; none if it isn't a recurrent module of ours."""
    if isinstance(module, Recurrent):
        graph = module.cell.graph(bias=module.bias)
        return [
            Layout(
                module.cell,
                graph,
                tuple(Part(module, names[p.name], p.name, p.gates, p.blocks) for p in graph.params),
            )
            for names in module._names
        ]
    if isinstance(module, RNNBase):
        return [_torchs(module, module.cell, names) for names in module._all_weights]
    if isinstance(module, RNNCellBase):
        return [_torchs(module, module.cell, [n for n, _ in module.named_parameters()])]
    return []


def _torchs(module: nn.Module, cell: Cell, attributes: list[str]) -> Layout:
    """A layer whose parameters are laid out as torch's: both biases of every gate."""
    parts = []
    for attribute in attributes:
        kind = "_".join(attribute.split("_")[:2])
        gates = cell.gates if kind != "weight_hr" else ()
        parts.append(Part(module, attribute, _TORCHS[kind], gates))
    return Layout(cell, cell.graph(), tuple(parts))
