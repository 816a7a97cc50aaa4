"""What emitted code finds around it: its arguments, its buffers, its loops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from recurra.backends.cpu.plan import Plan
from recurra.backends.cpu.text import Text

__all__ = [
    "WORDS",
    "Buffer",
    "Frame",
    "address",
    "choose",
    "is_marked",
    "loop",
    "smaller",
    "word",
]

WORDS = (
    "thread_number",
    "team_size",
    "give_way",
    "arrived",
    "steps",
    "first",
    "direction",
    "shares",
    "rows_each",
    "batch",
    "by_columns",
    "offsets",
    "befores",
    "counts",
    "marks",
    "mark_step",
)
"""The words before the buffers (pointer, step stride, row stride, thread stride) and the panels.

`thread_number`, `team_size` and `give_way` are functions, `arrived` counts the threads at barriers.
Ragged code reads, for each step, where its rows begin (`offsets`), where the states before it do
(`befores`) and how many rows it has (`counts`); marked code a byte for each row of each step.
"""


@dataclass(frozen=True)
class Buffer:
    """Where a buffer lies, and how far apart its steps and rows do."""

    base: str
    step: str
    row: str
    name: str


@dataclass
class Frame:
    """The code of one function: its text, what it may read, and the step it is at.

    Functions that have a frame take `%args`, `%share` and `%shares`; `place` is where the rows of
    this step begin, in strides of a step, `before` the same for the states that it starts from.
    `functions` are those that it calls, by name.
    """

    text: Text
    plan: Plan
    buffers: dict[str, Buffer] = field(default_factory=dict)
    panels: list[tuple[str, ...]] = field(default_factory=list)
    functions: dict[str, str] = field(default_factory=dict)
    place: str = "%place"
    before: str = "%before"

    @classmethod
    def begin(cls, plan: Plan) -> Frame:
        """A frame with every argument loaded from `%args`, for the share `%share`."""
        frame = cls(Text(plan.element, plan.lanes), plan)
        t, index = frame.text, len(WORDS)
        for name in plan.buffers:
            base = word(t, index, "ptr")
            offset = t.value(f"mul i64 {word(t, index + 3)}, %share")
            moved = t.pointer(base, offset)
            step, row = word(t, index + 1), word(t, index + 2)
            frame.buffers[name] = Buffer(moved, step, row, name)
            index += 4
        for _, panel in plan.panels:
            count = 1 if panel.form == "packed" else len(panel.matrices)
            frame.panels.append(tuple(word(t, index + i, "ptr") for i in range(count)))
            index += count
        return frame

    def row(self, row: str) -> str:
        """Where a row of this share lies: shares of ragged rows take turns, long ones and short."""
        if not self.plan.modes.ragged:
            return row
        return self.text.value(f"add i64 {self.text.value(f'mul i64 {row}, %shares')}, %share")


def word(t: Text, index: int, kind: str = "i64") -> str:
    """An argument."""
    place = t.value(f"getelementptr i64, ptr %args, i64 {index}")
    return t.value(f"load {kind}, ptr {place}")


def smaller(t: Text, a: str, b: str) -> str:
    """The smaller of two whole numbers."""
    less = t.value(f"icmp slt i64 {a}, {b}")
    return t.value(f"select i1 {less}, i64 {a}, i64 {b}")


def loop(t: Text, start: str, end: str, by: int | str, body: Callable[[str], None]) -> None:
    """for i from start while i < end: body(i)."""
    head, inside, done = t.label("head"), t.label("body"), t.label("done")
    before = t.label("before")
    t.line(f"br label %{before}")
    t.begin(before)
    t.line(f"br label %{head}")
    t.begin(head)
    index, following = f"%{head}.i", f"%{head}.n"
    latch = t.label("latch")
    t.line(f"{index} = phi i64 [{start}, %{before}], [{following}, %{latch}]")
    more = t.value(f"icmp slt i64 {index}, {end}")
    t.line(f"br i1 {more}, label %{inside}, label %{done}")
    t.begin(inside)
    body(index)
    t.line(f"br label %{latch}")
    t.begin(latch)
    t.line(f"{following} = add i64 {index}, {by}")
    t.line(f"br label %{head}")
    t.begin(done)


def choose(t: Text, condition: str, one: Callable[[], None], other: Callable[[], None]) -> None:
    """if condition: one(), else: other()."""
    yes, no, done = t.label("yes"), t.label("no"), t.label("chosen")
    t.line(f"br i1 {condition}, label %{yes}, label %{no}")
    for label, body in ((yes, one), (no, other)):
        t.begin(label)
        body()
        t.line(f"br label %{done}")
    t.begin(done)


def address(frame: Frame, buffer: Buffer, row: str, column: str) -> str:
    """The address of an element of this step; `row` as the buffer counts them."""
    t = frame.text
    place = frame.before if buffer.name.startswith("state:") else frame.place
    step = t.value(f"mul i64 {place}, {buffer.step}")
    line = t.value(f"mul i64 {row}, {buffer.row}")
    both = t.value(f"add i64 {step}, {line}")
    return t.pointer(buffer.base, t.value(f"add i64 {both}, {column}"))


def is_marked(frame: Frame, row: str) -> str:
    """Whether a segment of a row begins with this step."""
    t = frame.text
    marks, step = word(t, WORDS.index("marks"), "ptr"), word(t, WORDS.index("mark_step"))
    line = t.value(f"mul i64 {frame.place}, {step}")
    place = t.value(f"getelementptr i8, ptr {marks}, i64 {t.value(f'add i64 {line}, {row}')}")
    byte = t.value(f"load i8, ptr {place}")
    return t.value(f"icmp ne i8 {byte}, 0")
