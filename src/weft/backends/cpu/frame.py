"""What emitted code finds around it: its arguments, its buffers, its loops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from weft.backends.cpu.plan import Plan
from weft.backends.cpu.text import Text

__all__ = ["WORDS", "Buffer", "Frame", "address", "is_active", "is_marked", "loop", "word"]

WORDS = ("thread", "steps", "first", "direction", "rows_each", "batch", "lengths", "marks")
"""The words before the buffers (pointer, step stride, row stride, thread stride) and the panels.

`lengths` points at an i64 for each row, `marks` at a byte for each step and row; only masked code
reads them.
"""


@dataclass(frozen=True)
class Buffer:
    """Where a buffer lies, and how far apart its steps and rows do."""

    base: str
    step: str
    row: str


@dataclass
class Frame:
    """The code of one function: its text, what it may read, and the step it is at."""

    text: Text
    plan: Plan
    buffers: dict[str, Buffer] = field(default_factory=dict)
    panels: list[str] = field(default_factory=list)
    time: str = "%t"

    @classmethod
    def begin(cls, plan: Plan) -> Frame:
        """A frame with every argument loaded from `%args`, for the thread `%thread`."""
        frame = cls(Text(plan.element, plan.lanes), plan)
        t, index = frame.text, len(WORDS)
        for name in plan.buffers:
            base = word(t, index, "ptr")
            offset = t.value(f"mul i64 {word(t, index + 3)}, %thread")
            moved = t.pointer(base, offset)
            frame.buffers[name] = Buffer(moved, word(t, index + 1), word(t, index + 2))
            index += 4
        for _ in plan.panels:
            frame.panels.append(word(t, index, "ptr"))
            index += 1
        return frame


def word(t: Text, index: int, kind: str = "i64") -> str:
    """An argument."""
    place = t.value(f"getelementptr i64, ptr %args, i64 {index}")
    return t.value(f"load {kind}, ptr {place}")


def loop(t: Text, start: str, end: str, by: int, body: Callable[[str], None]) -> None:
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


def address(frame: Frame, buffer: Buffer, row: str, column: str) -> str:
    """The address of an element of this step."""
    t = frame.text
    step = t.value(f"mul i64 {frame.time}, {buffer.step}")
    line = t.value(f"mul i64 {row}, {buffer.row}")
    both = t.value(f"add i64 {step}, {line}")
    return t.pointer(buffer.base, t.value(f"add i64 {both}, {column}"))


def is_marked(frame: Frame, row: str) -> str:
    """Whether a segment of a row begins with this step."""
    t = frame.text
    marks, batch = (word(t, WORDS.index(w), k) for w, k in (("marks", "ptr"), ("batch", "i64")))
    line = t.value(f"mul i64 {frame.time}, {batch}")
    place = t.value(f"getelementptr i8, ptr {marks}, i64 {t.value(f'add i64 {line}, {row}')}")
    byte = t.value(f"load i8, ptr {place}")
    set_ = t.value(f"icmp ne i8 {byte}, 0")
    return t.value(f"and i1 {set_}, {is_active(frame, row)}")


def is_active(frame: Frame, row: str) -> str:
    """Whether a row has not ended before this step."""
    t = frame.text
    lengths = word(t, WORDS.index("lengths"), "ptr")
    place = t.value(f"getelementptr i64, ptr {lengths}, i64 {row}")
    length = t.value(f"load i64, ptr {place}")
    return t.value(f"icmp slt i64 {frame.time}, {length}")
