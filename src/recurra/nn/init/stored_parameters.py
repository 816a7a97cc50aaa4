"""The stored parameters of recurrent layers by their part in the equations, in any module."""

from dataclasses import dataclass

from torch import Tensor, nn

from recurra.cells import Cell
from recurra.cells.regularised import recurrent_matrices
from recurra.cells.tracing import is_bias
from recurra.errors import ConfigError
from recurra.ir import Graph, in_order
from recurra.nn.init.draw import stacked_matrices
from recurra.nn.layers.recurrent import Recurrent
from recurra.nn.layers.rnn_base import RNNBase
from recurra.nn.layers.single_step import RNNCellBase

__all__ = ["LayerParameters", "StoredParameter", "layer_parameters", "own_layers"]

_NAMES_IN_EQUATIONS = {
    "weight_ih": "W",
    "weight_hh": "U",
    "bias_ih": "b",
    "bias_hh": "b",
    "weight_hr": "R",
}


@dataclass(frozen=True)
class StoredParameter:
    """A parameter: its module and attribute, its name in the equations, and what it stacks."""

    owner: nn.Module
    attribute: str
    name: str
    gates: tuple[str, ...]
    blocks: int = 1

    @property
    def value(self) -> Tensor:
        """The parameter itself. Raises ConfigError if it is computed from others."""
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
        return stacked_matrices(self.value, len(self.gates), self.blocks)


@dataclass(frozen=True)
class LayerParameters:
    """One layer and direction of a module: its equations and its stored parameters."""

    cell: Cell
    graph: Graph
    parameters: tuple[StoredParameter, ...]

    def biases(self, gate: str) -> list[StoredParameter]:
        """The parameters that add up to a gate's bias."""
        return [
            p
            for p in self.parameters
            if gate in p.gates and (is_bias(p.name) or p.name.endswith("_bias"))
        ]

    def weights(self) -> list[StoredParameter]:
        """The parameters that multiply inputs and states.

        All others are biases, scalars, and the gains and biases of normalisations.
        """
        norms = [node for node in self.graph.nodes if node.op == "normalize"]
        leaves = (leaf for node in norms for leaf in in_order(node.args[1:]))
        of_norms = {str(leaf.detail[0]) for leaf in leaves if isinstance(leaf.detail, tuple)}
        kinds = {param.name: param.kind for param in self.graph.params}
        return [
            p
            for p in self.parameters
            if not is_bias(p.name) and p.name not in of_norms and kinds.get(p.name) != "scalar"
        ]

    def recurrent(self) -> list[StoredParameter]:
        """The matrices that multiply what depends on the state."""
        names = recurrent_matrices(self.graph)
        return [p for p in self.parameters if p.name in names]


def layer_parameters(module: nn.Module) -> list[LayerParameters]:
    """The parameters of every layer and direction of the recurrent modules in `module`, or of it.

    Raises ConfigError if there is none.
    """
    layers = [layer for inner in module.modules() for layer in own_layers(inner)]
    if not layers:
        raise ConfigError(
            f"{type(module).__name__} holds no recurrent layer of Recurra; use recurra.nn.RNN, "
            "LSTM, GRU or Recurrent, or convert torch's layers by recurra.accelerate."
        )
    return layers


def own_layers(module: nn.Module) -> list[LayerParameters]:
    """Each layer and direction of `module` itself; none if it isn't a recurrent module of ours."""
    if isinstance(module, Recurrent):
        return _of_recurrent(module)
    if isinstance(module, RNNBase):
        return [_of_torch_layout(module, module.cell, names) for names in module._all_weights]
    if isinstance(module, RNNCellBase):
        names = [name for name, _ in module.named_parameters()]
        return [_of_torch_layout(module, module.cell, names)]
    return []


def _of_recurrent(module: Recurrent) -> list[LayerParameters]:
    graph = module.cell.graph(bias=module.bias)
    return [
        LayerParameters(
            module.cell,
            graph,
            tuple(
                StoredParameter(module, names[p.name], p.name, p.gates, p.blocks)
                for p in graph.params
            ),
        )
        for names in module._names
    ]


def _of_torch_layout(module: nn.Module, cell: Cell, attributes: list[str]) -> LayerParameters:
    """A layer whose parameters are laid out as torch's: both biases of every gate."""
    parameters = []
    for attribute in attributes:
        kind = "_".join(attribute.split("_")[:2])
        gates = cell.gates if kind != "weight_hr" else ()
        parameters.append(StoredParameter(module, attribute, _NAMES_IN_EQUATIONS[kind], gates))
    return LayerParameters(cell, cell.graph(), tuple(parameters))
