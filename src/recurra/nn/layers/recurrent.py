"""A recurrent layer of any cell."""

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from recurra import settings
from recurra.cells import Cell, load
from recurra.ir import Graph
from recurra.nn.execute import (
    Kernel,
    Sequences,
    StepRun,
    TracedLoop,
    dropout_between,
    engine_of,
    kernel,
    pack_like,
    run_layers,
    step_runs,
    unpack,
    wants_every,
)
from recurra.nn.init.draw import draw_
from recurra.nn.layers.arguments import (
    check_clip,
    check_dropout,
    check_dtype,
    check_flags,
    check_input_size,
    check_lengths,
    check_resets,
    check_sizes,
    check_steps,
    described,
    of_another_batch,
)
from recurra.nn.layers.module import RecurrentModule
from recurra.nn.layers.remedies import Masks, Remedies, RemedyPlan
from recurra.nn.observe.trace import Trace, trace_layers
from recurra.nn.states import States

__all__ = ["Recurrent"]


class Recurrent(RecurrentModule):
    """Layers of a cell, run over sequences: one of Recurra's or your own.

    Args:
        cell: a `recurra.cells.Cell`, its class, or its name for `recurra.cells.load`.
        input_size: size I of each step's input.
        hidden_size: size H that the cell's equations call hidden_size.
        num_layers: L; each layer reads the outputs of the one below.
        bias: include the biases (parameters named `b`, `b2`, `b_h`, ...).
        batch_first: input and output as (B, T, size) instead of (T, B, size).
        dropout: the share of outputs zeroed between layers in training.
        bidirectional: D = 2: a second direction reads each sequence from its end.
        learn_initial_state: learn the initial states of sequences, and of segments after a reset:
            parameters `initial_h_l0` and so on, zeros at first.
        input_dropout, state_dropout, output_dropout: shares dropped by one mask for all steps of a
            sequence: of each layer's input, of the output state where recurrent weights read it
            (Gal & Ghahramani 2016), of the last layer's output.
        recurrent_dropout: the share of the candidate's values dropped, drawn again at each step
            (Semeniuta et al. 2016).
        weight_drop: the share of the recurrent matrices' elements dropped (Merity et al. 2017).
        zoneout: the share of a state's values that a step leaves unchanged, for all states or by
            name; outside training their mean with the new values is used (Krueger et al. 2017).
        engine: "auto", "cpu", "torch" or "interp"; None takes the setting RECURRA_ENGINE.
        bptt_clip: limits each element of dL/dh_t at every step of back-propagation through time.

    Parameters are named as in the equations with the layer appended (`W_l0`, `U_l0_reverse`),
    stacked over gates in the cell's order, and drawn uniformly from ±1/sqrt(hidden_size) unless the
    cell's `init` says otherwise.

    Example:
        >>> layer = Recurrent("lstm", input_size=10, hidden_size=20)
        >>> y, (h, c) = layer(torch.randn(5, 3, 10))
        >>> y.shape, h.shape
        (torch.Size([5, 3, 20]), torch.Size([1, 3, 20]))
    """

    cell: Cell
    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    bidirectional: bool
    dropout: float
    bptt_clip: float | None
    learn_initial_state: bool
    remedies: Remedies
    state_sizes: tuple[int, ...]

    def __init__(
        self,
        cell: Cell | type[Cell] | str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        engine: str | None = None,
        bptt_clip: float | None = None,
        learn_initial_state: bool = False,
        input_dropout: float = 0.0,
        state_dropout: float = 0.0,
        output_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        weight_drop: float = 0.0,
        zoneout: float | Mapping[str, float] = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.cell = _as_cell(cell)
        check_sizes(input_size, hidden_size, num_layers)
        check_flags(bias=bias, batch_first=batch_first, bidirectional=bidirectional)
        check_flags(learn_initial_state=learn_initial_state)
        check_dropout(dropout, num_layers, callers=1)
        check_clip(bptt_clip)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout, self.bptt_clip = float(dropout), bptt_clip
        self.learn_initial_state = learn_initial_state
        self.remedies = Remedies.checked(
            self.cell,
            input_dropout=input_dropout,
            state_dropout=state_dropout,
            output_dropout=output_dropout,
            recurrent_dropout=recurrent_dropout,
            weight_drop=weight_drop,
            zoneout=zoneout,
        )
        self._engine = engine or settings.default_engine()
        self._make_plans()
        self._make_parameters(device, dtype)
        self.reset_parameters()

    def _make_plans(self) -> None:
        """Sizes of the states and plans of the runs, since torch.compile can't trace equations."""
        sizes = self.cell.bind(self.input_size, self.hidden_size)
        graph = self.cell.graph(bias=self.bias)
        self.state_sizes = tuple(size.value(sizes) for size in graph.state_sizes)
        self._plans = {
            (training, starts): self.remedies.plan(
                self.cell, sizes, bias=self.bias, training=training, starts=starts
            )
            for training in (True, False)
            for starts in {False, self.learn_initial_state}
        }

    def _make_parameters(
        self, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        self._names: list[dict[str, str]] = []
        self._starts: list[list[str]] = []
        for layer in range(self.num_layers):
            below = self.input_size if layer == 0 else self.output_size
            for suffix in ("", "_reverse")[: self._directions]:
                self._add_parameters(f"_l{layer}{suffix}", below, device, dtype)

    def _add_parameters(
        self,
        suffix: str,
        input_size: int,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        sizes = self.cell.bind(input_size, self.hidden_size)
        names = {}
        for param in self.cell.graph(bias=self.bias).params:
            names[param.name] = param.name + suffix
            value = torch.empty(param.shape(sizes), device=device, dtype=dtype)
            self.register_parameter(param.name + suffix, nn.Parameter(value))
        self._names.append(names)
        if self.learn_initial_state:
            starts = [f"initial_{state}{suffix}" for state in self.cell.states]
            for name, size in zip(starts, self.state_sizes, strict=True):
                zeros = torch.zeros(size, device=device, dtype=dtype)
                self.register_parameter(name, nn.Parameter(zeros))
            self._starts.append(starts)

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Size of each step's output: that of the cell's first state, for each direction."""
        return self.state_sizes[0] * self._directions

    @property
    def _kernel(self) -> Kernel | TracedLoop:
        plan = self._plans[self.training, False]
        return kernel(plan.cell, bias=self.bias, engine=self._engine)

    @property
    def engine(self) -> str:
        """The engine that runs this layer, with its weights' present device and dtype."""
        weight = next(self.parameters())
        return engine_of(self._kernel, weight, bptt_clip=self.bptt_clip)

    def reset_parameters(self) -> None:
        """Draw every parameter again."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        params = self.cell.graph(bias=self.bias).params
        for names in self._names:
            for param in params:
                draw_(getattr(self, names[param.name]), param, bound)
        for start in itertools.chain(*self._starts):
            nn.init.zeros_(getattr(self, start))

    def forward(
        self,
        input: Tensor | PackedSequence,
        states: Sequence[Tensor] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        resets: Tensor | None = None,
        return_states: str = "last",
    ) -> tuple[Any, States]:
        """Run whole sequences.

        Args:
            input: (T, B, I), (B, T, I) with `batch_first`, (T, I), or a packed sequence.
            states: one (L*D, B, size) for each state of the cell, or None for zeros, or for the
                learnt initial states.
            lengths: (B,) steps of each sequence; outputs after them are zero, 0 is allowed.
            resets: bool, shaped as the input's steps: marks the first step of a new segment, which
                starts from zeros, or from the learnt initial states; the gradient is cut there.
            return_states: "last", or "all" for the states after every step.

        Returns the outputs, shaped as the input, and the states after each sequence's last step; or
        with "all" (L*D, T, B, size) for each state, (L*D, B, T, size) with `batch_first`, zeros
        after a sequence's end.
        """
        every = wants_every(return_states)
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, states, lengths, resets, every)
        if not isinstance(input, Tensor):
            raise TypeError(
                f"Recurrent: input is {described(input)}; give a tensor, or a packed sequence"
            )
        if input.dim() not in (2, 3):
            raise ValueError(
                f"Recurrent: Expected input to be 2D or 3D, got {input.dim()}D instead"
            )
        is_batched = input.dim() == 3
        x = input if is_batched else input.unsqueeze(1)
        x = x.transpose(0, 1) if is_batched and self.batch_first else x
        if states is not None and not is_batched:
            states = [s.unsqueeze(1) for s in states]
        steps, batch = x.shape[0], x.shape[1]
        if lengths is not None:
            lengths = check_lengths(lengths, steps, batch)
        if resets is not None:
            resets = check_resets(resets, steps, batch, self.batch_first and is_batched)
        sequences = Sequences(
            steps, lengths=lengths, resets=resets, bptt_clip=self.bptt_clip, every=every
        )
        y, after = self._run(x, states, sequences, batch)
        if not is_batched:
            return y.squeeze(1), tuple(s.squeeze(-2) for s in after)
        if not self.batch_first:
            return y, after
        return y.transpose(0, 1), tuple(s.transpose(1, 2) for s in after) if every else after

    def trace(
        self,
        input: Tensor,
        states: Sequence[Tensor] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        resets: Tensor | None = None,
    ) -> Trace:
        """Every named value of the equations at every step of a run, without gradients.

        Example:
            >>> trace = Recurrent("gru", 3, 8).trace(torch.randn(5, 6, 3))
            >>> list(trace), trace["r"].shape
            (['x', 'r', 'z', 'n', 'h'], torch.Size([5, 6, 8]))
        """
        return trace_layers(self, [self], input, states, lengths, resets)

    def _forward_packed(
        self,
        packed: PackedSequence,
        states: Sequence[Tensor] | None,
        lengths: object,
        resets: Tensor | None,
        every: bool,
    ) -> tuple[PackedSequence, States]:
        sequences = unpack(packed, lengths, resets, self.batch_first)
        order, back = packed.sorted_indices, packed.unsorted_indices
        if states is not None and order is not None:
            states = [s.index_select(1, order) for s in states]
        sequences = sequences._replace(bptt_clip=self.bptt_clip, every=every)
        y, after = self._run(packed.data, states, sequences, int(packed.batch_sizes[0]))
        if back is not None:
            after = tuple(s.index_select(-2, back) for s in after)
        if every and self.batch_first:
            after = tuple(s.transpose(1, 2) for s in after)
        return pack_like(packed, y), after

    def _run(
        self, x: Tensor, states: Sequence[Tensor] | None, sequences: Sequences, batch: int
    ) -> tuple[Tensor, States]:
        weights = [{k: getattr(self, n) for k, n in names.items()} for names in self._names]
        check_steps(x)
        check_dtype(x, next(iter(weights[0].values())))
        check_input_size(x, self.input_size)
        masks, remedies = Masks.of(x, sequences), self.remedies
        starts = self.learn_initial_state and sequences.resets is not None
        plan = self._plans[self.training, starts]
        is_masked = self.training and remedies.input_dropout > 0
        y, after = run_layers(
            kernel(plan.cell, bias=self.bias, engine=self._engine),
            [
                each | self._inputs(plan, each, index, masks, sequences)
                for index, each in enumerate(weights)
            ],
            x,
            self._check_states(states, x, batch),
            sequences,
            directions=self._directions,
            mask=functools.partial(remedies.mask_input, masks) if is_masked else None,
            dropout=dropout_between(self.num_layers, self.dropout, self.training),
        )
        return (remedies.mask_output(masks, y) if self.training else y), after

    def _inputs(
        self,
        plan: RemedyPlan,
        weights: Mapping[str, Tensor],
        index: int,
        masks: Masks,
        sequences: Sequences,
    ) -> dict[str, Tensor]:
        """Inputs of a layer's and direction's run besides x and states, and changed weights."""
        inputs = self.remedies.inputs(plan, weights, masks, training=self.training)
        if self.learn_initial_state and sequences.resets is not None:
            marks = sequences._replace(reverse=index % self._directions == 1).starts
            assert marks is not None
            for state, size, start in zip(
                self.cell.states, self.state_sizes, self._starts[index], strict=True
            ):
                inputs[f"begin_{state}"] = masks.segment_starts(marks, size)
                inputs[f"initial_{state}"] = getattr(self, start)
        return inputs

    def layer_parameters(self) -> list[dict[str, Tensor]]:
        """The parameters of each layer, of one direction, by the names of the equations."""
        return [{k: getattr(self, n) for k, n in names.items()} for names in self._names]

    def evaluated(self) -> list[tuple[Graph, dict[str, Tensor], dict[str, float]]]:
        """What each layer and direction computes outside training.

        Its equations, its parameters by their names there, and the numbers that the equations are
        given at every step: the shares that zoneout keeps.
        """
        plan = self._plans[False, False]
        shares = {
            name: self.remedies.zoneout_of(name.removeprefix("zone_")) for name, _ in plan.givens
        }
        graph = plan.cell.graph(bias=self.bias)
        return [(graph, params, shares) for params in self.layer_parameters()]

    def step_runs(self, batch: int, count: int, *, quantize: bool = False) -> list[StepRun] | None:
        """The layers as steps that come one after another, `count` at most in a run.

        `quantize`: with int8 weights.
        None for layers of two directions or with zoneout, and where the engine has nothing for
        them.
        """
        plan = self._plans[False, False]
        if self.bidirectional or plan.givens:
            return None
        inputs = next(self.parameters()).new_zeros(count, batch, self.input_size)
        cell = kernel(plan.cell, bias=self.bias, engine=self._engine)
        return step_runs(cell, self.layer_parameters(), inputs, self.state_sizes, quantize=quantize)

    def _check_states(
        self, states: Sequence[Tensor] | None, x: Tensor, batch: int
    ) -> Sequence[Tensor]:
        names = ", ".join(self.cell.states)
        rows = self.num_layers * self._directions
        shapes = [(rows, batch, size) for size in self.state_sizes]
        if states is None and self.learn_initial_state:
            return [s.unsqueeze(1).expand(-1, batch, -1) for s in self.learnt_states()]
        if states is None:
            return [x.new_zeros(shape) for shape in shapes]
        if not isinstance(states, (tuple, list)) or len(states) != len(shapes):
            given = f"{len(states)} values" if isinstance(states, (tuple, list)) else "one value"
            raise ValueError(
                f"Recurrent: states given as {given}; the {type(self.cell).__name__} cell has "
                f"({names}). Pass a tuple of {len(shapes)}, or None for zeros."
            )
        for name, state, shape in zip(self.cell.states, states, shapes, strict=True):
            if not isinstance(state, Tensor):
                raise TypeError(f"Recurrent: {name} is {described(state)}; give a tensor {shape}")
            if tuple(state.shape) != shape:
                remedy = of_another_batch(shape, state.shape)
                raise RuntimeError(f"Expected {name} size {shape}, got {list(state.shape)}{remedy}")
        return states

    def learnt_states(self) -> tuple[Tensor, ...]:
        """The learnt initial states, (L*D, size) each; empty if they aren't learnt."""
        each_state = zip(*self._starts, strict=True)
        return tuple(torch.stack([getattr(self, name) for name in names]) for names in each_state)

    def extra_repr(self) -> str:
        """The constructor's arguments that differ from their defaults."""
        words = [repr(self.cell), str(self.input_size), str(self.hidden_size)]
        if self.num_layers != 1:
            words.append(f"num_layers={self.num_layers}")
        if not self.bias:
            words.append("bias=False")
        flags = ("batch_first", "dropout", "bidirectional", "learn_initial_state")
        words += [f"{name}={getattr(self, name)}" for name in flags if getattr(self, name)]
        return ", ".join(words + self.remedies.words())


def _as_cell(cell: Cell | type[Cell] | str) -> Cell:
    if isinstance(cell, str):
        return load(cell)
    made = cell() if isinstance(cell, type) and issubclass(cell, Cell) else cell
    if not isinstance(made, Cell):
        raise TypeError(
            f"cell is {described(cell)}; give a recurra.cells.Cell, its class or its name, such as "
            "'lstm' (a cell of your own is a subclass of Cell with its equations in step)"
        )
    return made
