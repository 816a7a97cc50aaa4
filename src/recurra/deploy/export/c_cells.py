"""The equations of a cell as C: products, and loops over units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from recurra.deploy.export.c_source import CSource, number
from recurra.deploy.export.cell_values import CellValues
from recurra.ir import OPS, Node
from recurra.nn.program import Recurrence

__all__ = ["FUNCTIONS", "step_lines"]


def step_lines(
    source: CSource, recurrence: Recurrence, x: str, size: int, states: Sequence[str]
) -> list[str]:
    """Add a step of a recurrence, which reads x (size numbers) and states, and doesn't change them.

    Returns the names of the new states.
    """
    return _CellStep(source, CellValues(recurrence), x, size, states).lines()


class _CellStep:
    def __init__(
        self, source: CSource, values: CellValues, x: str, size: int, states: Sequence[str]
    ) -> None:
        self._source, self._values = source, values
        self._sizes: dict[Node, int] = {}
        self._arrays: dict[Node, str] = {}
        own = values.recurrence
        for node in values.graph.nodes:
            if node.op == "input":
                self._arrays[node], self._sizes[node] = x, size
            elif node.op == "state":
                place = values.graph.states.index(str(node.detail))
                self._arrays[node], self._sizes[node] = states[place], own.state_sizes[place]

    def lines(self) -> list[str]:
        """The whole step, element-wise operations in as few loops as can be."""
        graph, waiting = self._values.graph, list[Node]()
        for node in self._values.timed:
            self._sizes[node] = self._size(node)
            if self._is_by_element(node):
                if waiting and self._sizes[waiting[0]] != self._sizes[node]:
                    self._loop(waiting)
                    waiting = []
                waiting.append(node)
                continue
            if any(argument in waiting for argument in node.args):
                self._loop(waiting)
                waiting = []
            self._whole(node)
        self._loop(waiting)
        found = []
        for place, node in enumerate(graph.results):
            if node in self._arrays:
                found.append(self._arrays[node])
                continue
            width = self._values.recurrence.state_sizes[place]
            fixed = np.broadcast_to(self._values.fixed[node], (width,))
            found.append(self._source.vector(fixed))
        return found

    def _is_by_element(self, node: Node) -> bool:
        return OPS[node.op].is_elementwise or node.op == "gate"

    def _size(self, node: Node) -> int:
        fixed = self._values.fixed
        if node.op == "product":
            return int(fixed[node.args[0]].shape[0])
        if node.op == "gate":
            return self._sizes[node.args[0]] // len(self._values.graph.gates)
        if node.op == "normalize":
            return self._sizes[node.args[0]]
        return max(
            self._sizes[a] if a in self._sizes else int(np.size(fixed[a])) for a in node.args
        )

    def _whole(self, node: Node) -> None:
        """An operation on whole vectors."""
        source, fixed, size = self._source, self._values.fixed, self._sizes[node]
        if node.op == "product":
            self._arrays[node] = y = source.buffer(size)
            source.product(fixed[node.args[0]], self._array(node.args[1]), y)
        elif node.op == "normalize":
            self._arrays[node] = y = source.buffer(size)
            gain, bias = (source.vector(np.broadcast_to(fixed[a], (size,))) for a in node.args[1:])
            eps = number(float(str(node.detail)))
            source.say(
                f"normalise({self._array(node.args[0])}, {gain}, {bias}, {eps}, {y}, {size});"
            )
        else:
            self._statistic(node)

    def _statistic(self, node: Node) -> None:
        """A mean or a deviation over all elements of several vectors, in each element."""
        source, sizes = self._source, [self._sizes[a] for a in node.args]
        whole = source.buffer(sum(sizes))
        place = 0
        for argument, size in zip(node.args, sizes, strict=True):
            copied = f"memcpy({whole} + {place}, {self._array(argument)}, {size} * sizeof(float));"
            source.say(copied)
            place += size
        found, y = source.name("s"), source.buffer(self._sizes[node])
        if node.op == "mean":
            source.say(f"const float {found} = mean({whole}, {place});")
        else:
            eps = number(float(str(node.detail)))
            source.say(f"const float {found} = inverse_deviation({whole}, {place}, {eps});")
        source.say(f"for (int i = 0; i < {self._sizes[node]}; i++) {y}[i] = {found};")
        self._arrays[node] = y

    def _array(self, node: Node) -> str:
        if node in self._arrays:
            return self._arrays[node]
        return self._source.vector(self._values.fixed[node])

    def _loop(self, nodes: Sequence[Node]) -> None:
        """One loop over the elements of nodes of a size; what others read is kept in arrays."""
        if not nodes:
            return
        graph, source = self._values.graph, self._source
        inside = set(nodes)
        kept = {n for n in nodes if n in graph.results}
        for user in self._values.timed:
            if user not in inside:
                kept |= {a for a in user.args if a in inside}
        for node in nodes:
            if node in kept:
                self._arrays[node] = source.buffer(self._sizes[node])
        names: dict[Node, str] = {}
        source.say(f"for (int i = 0; i < {self._sizes[nodes[0]]}; i++) {{")
        for node in nodes:
            value = source.name("v")
            source.say(f"const float {value} = {self._expression(node, names)};")
            names[node] = value
            if node in kept:
                source.say(f"{self._arrays[node]}[i] = {value};")
        source.say("}")

    def _expression(self, node: Node, names: Mapping[Node, str]) -> str:
        if node.op == "gate":
            assert isinstance(node.detail, tuple)
            first = node.detail[0] * self._sizes[node]
            return f"{self._array(node.args[0])}[{first} + i]"
        return _RULES[node.op](*(self._element(a, names) for a in node.args))

    def _element(self, node: Node, names: Mapping[Node, str]) -> str:
        if node in names:
            return names[node]
        if node in self._arrays:
            return (
                f"{self._arrays[node]}[i]" if self._sizes[node] > 1 else f"{self._arrays[node]}[0]"
            )
        fixed = self._values.fixed[node]
        if fixed.size == 1:
            return number(float(fixed.reshape(())))
        return f"{self._source.vector(fixed)}[i]"


def _called(function: str) -> Callable[..., str]:
    return lambda *args: f"{function}({', '.join(args)})"


def _between(sign: str) -> Callable[..., str]:
    return lambda a, b: f"{a} {sign} {b}"


_RULES: Mapping[str, Callable[..., str]] = {
    "neg": lambda a: f"-({a})",
    "sigmoid": _called("sigmoid"),
    "tanh": _called("tanhf"),
    "relu": _called("relu"),
    "exp": _called("expf"),
    "expm1": _called("expm1f"),
    "log": _called("logf"),
    "log1p": _called("log1pf"),
    "sqrt": _called("sqrtf"),
    "bounded_sqrt": _called("sqrtf"),
    "softplus": _called("softplus"),
    "log_sigmoid": lambda a: f"-softplus(-({a}))",
    "abs": _called("fabsf"),
    "add": _between("+"),
    "sub": _between("-"),
    "mul": _between("*"),
    "div": _between("/"),
    "maximum": _called("larger"),
    "minimum": _called("smaller"),
    "where_positive": lambda a, b, c: f"{a} > 0.0f ? {b} : {c}",
}
"""Every operation of the language on one element."""

FUNCTIONS = {
    "sigmoid": "static float sigmoid(float a) { return 1.0f / (1.0f + expf(-a)); }\n",
    "relu": "static float relu(float a) { return a < 0.0f ? 0.0f : a; }\n",
    "softplus": (
        "static float softplus(float a) { "
        "return a > 0.0f ? a + log1pf(expf(-a)) : log1pf(expf(a)); }\n"
    ),
    "larger": "static float larger(float a, float b) { return a < b ? b : a; }\n",
    "smaller": "static float smaller(float a, float b) { return b < a ? b : a; }\n",
    "mean": """\
static float mean(const float *x, int size) {
    float sum = 0.0f;
    for (int i = 0; i < size; i++) sum += x[i];
    return sum / (float)size;
}
""",
    "inverse_deviation": """\
static float inverse_deviation(const float *x, int size, float eps) {
    const float middle = mean(x, size);
    float top = 1.0f, sum = 0.0f;
    for (int i = 0; i < size; i++) {
        const float off = fabsf(x[i] - middle);
        if (off > top) top = off;
    }
    for (int i = 0; i < size; i++) {
        const float off = (x[i] - middle) / top;
        sum += off * off;
    }
    return 1.0f / (sqrtf(sum / (float)size + eps / top / top) * top);
}
""",
    "most_across": """\
static void most_across(const float *x, int channels, int features, int across, float *y) {
    for (int k = 0; k < channels; k++, x += features)
        for (int f = 0; f < features; f++) {
            if (f % across == 0) *y++ = x[f];
            else if (x[f] > y[-1]) y[-1] = x[f];
        }
}
""",
    "take_patch": """\
static void take_patch(const float *x, int rows, int features, int place, int reach, float *y) {
    for (int r = 0; r < rows; r++, x += features)
        for (int j = 0; j < reach; j++) {
            const int at = place + j - reach / 2;
            *y++ = at < 0 || at >= features ? 0.0f : x[at];
        }
}
""",
    "spell": """\
static void spell(const int32_t *letters, int count, const float *table, int width, const float *w,
                  const float *b, int channels, int reach, float *y) {
    for (int p = 0; p < count; p++) {
        if (letters[p] == 0) continue;
        for (int k = 0; k < channels; k++) {
            float sum = b[k];
            for (int j = 0; j < reach; j++) {
                const int at = p + j - reach / 2;
                if (at < 0 || at >= count) continue;
                const float *from = table + width * letters[at];
                for (int c = 0; c < width; c++) sum += w[(k * reach + j) * width + c] * from[c];
            }
            if (sum > y[k]) y[k] = sum;
        }
    }
}
""",
    "normalise": """\
static void normalise(const float *x, const float *gain, const float *bias, float eps, float *y,
                      int size) {
    const float middle = mean(x, size), inverse = inverse_deviation(x, size, eps);
    for (int i = 0; i < size; i++) y[i] = (x[i] - middle) * inverse * gain[i] + bias[i];
}
""",
}
"""Functions in C by name, each after those that it calls."""
