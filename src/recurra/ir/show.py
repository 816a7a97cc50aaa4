"""A graph as equations that people read: a line for each named value, in the cell's own order."""

from recurra.ir.graph import OPS, Graph, Node

__all__ = ["equations", "parameters"]

_TIGHTNESS = {"add": 1, "sub": 1, "neg": 2, "mul": 3, "div": 3, "product": 4}
_ATOM = 9


def equations(graph: Graph) -> str:
    """The equations of a step, one a line, with `ₜ` for this step and `ₜ₋₁` for the one before."""
    finals = dict(zip(graph.results, graph.states, strict=True))
    inner = [n for n in graph.nodes if OPS[n.op].kind != "leaf"]
    shown = sorted((n for n in inner if n.name or n in finals), key=_line)
    labels: dict[Node, str] = {}
    for node in sorted(shown, key=lambda n: n not in finals):
        label = f"{finals.get(node, node.name)}ₜ"
        while label in labels.values():
            label = label.replace("ₜ", "′ₜ")
        labels[node] = label
    lines = [
        (labels[n], _text(n, {k: v for k, v in labels.items() if k is not n})[0]) for n in shown
    ]
    for state, node in zip(graph.states, graph.results, strict=True):
        if labels.get(node) != f"{state}ₜ":
            lines.append((f"{state}ₜ", _text(node, labels)[0]))
    width = max(len(label) for label, _ in lines)
    return "\n".join(f"{label:>{width}} = {text}" for label, text in lines)


def parameters(graph: Graph) -> list[tuple[str, str, str]]:
    """Each parameter's name, the gates it is stacked over, and its shape in words."""
    rows = []
    for p in graph.params:
        words = {"scalar": "scalar", "vector": str(p.rows), "matrix": f"{p.rows} x {p.columns}"}
        shape = words[p.kind] + (f", {p.blocks} blocks" if p.blocks > 1 else "")
        rows.append((p.name, " ".join(p.gates), shape))
    return rows


def _line(node: Node) -> int:
    return node.where.line if node.where else 0


def _text(node: Node, labels: dict[Node, str]) -> tuple[str, int]:
    """The text of a node and how tightly it binds."""
    if node in labels:
        return labels[node], _ATOM
    if OPS[node.op].kind == "leaf":
        return _leaf(node), _ATOM
    if node.op == "gate":
        inner, tightness = _text(node.args[0], labels)
        name = node.detail[1] if isinstance(node.detail, tuple) else node.detail
        return f"{_wrap(inner, tightness, _ATOM)}.{name}", _ATOM
    own = _TIGHTNESS.get(node.op, _ATOM)
    parts = []
    for place, arg in enumerate(node.args):
        text, tightness = _text(arg, labels)
        if node.op in _TIGHTNESS or node.op == "transpose":
            strict = place == 1 and node.op in ("sub", "div", "mul", "product")
            text = _wrap(text, tightness, own + strict)
        parts.append(text)
    return OPS[node.op].text.format(*parts), own


def _wrap(text: str, inner: int, outer: int) -> str:
    return f"({text})" if inner < outer else text


def _leaf(node: Node) -> str:
    if node.op == "input":
        return "xₜ"
    if node.op == "state":
        return f"{node.detail}ₜ₋₁"
    if node.op == "const":
        assert isinstance(node.detail, float)
        return f"{node.detail:g}"
    assert isinstance(node.detail, tuple)
    name, gate = node.detail
    if node.op in ("given", "probe"):
        return f"{name}ₜ"
    return name if gate is None else f"{name}_{gate}"
