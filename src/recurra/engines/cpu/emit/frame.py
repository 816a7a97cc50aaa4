"""The frame of emitted functions: arguments, buffers, loops, shares of threads and barriers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from recurra.engines.cpu.emit.llvm_text import FunctionText
from recurra.engines.cpu.plan.tiling import LoopPlan

__all__ = [
    "SIGNATURE",
    "WORDS",
    "Buffer",
    "Frame",
    "address",
    "barrier",
    "choose",
    "each_thread",
    "is_marked",
    "loop",
    "shares",
    "smaller",
    "whole",
    "word",
]

WORDS = (
    "thread_number",
    "team_size",
    "give_way",
    "barrier",
    "arrived",
    "steps",
    "first",
    "direction",
    "shares",
    "rows_each",
    "batch",
    "by_columns",
    "offsets",
    "previous_offsets",
    "counts",
    "marks",
    "mark_step",
)
"""The words before the buffers (pointer, step stride, row stride, thread stride) and the panels.

`thread_number`, `team_size`, `give_way` and `barrier` are functions; `arrived` counts the threads
at the code's own barriers.
Ragged code reads, for each step, where its rows begin (`offsets`), where the states before it do
(`previous_offsets`) and how many rows it has (`counts`); marked code reads a byte for each row of
each step.
"""


@dataclass(frozen=True)
class Buffer:
    """A buffer's address, and the distances between its steps and rows."""

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

    text: FunctionText
    plan: LoopPlan
    buffers: dict[str, Buffer] = field(default_factory=dict)
    panels: list[tuple[str, ...]] = field(default_factory=list)
    functions: dict[str, str] = field(default_factory=dict)
    place: str = "%place"
    before: str = "%before"

    @classmethod
    def begin(cls, plan: LoopPlan) -> Frame:
        """A frame with every argument loaded from `%args`, for the share `%share`."""
        frame = cls(FunctionText(plan.element, plan.lanes), plan)
        t, index = frame.text, len(WORDS)
        for name in plan.buffers:
            base = word(t, index, "ptr")
            offset = t.value(f"mul i64 {word(t, index + 3)}, %share")
            moved = t.pointer(base, offset)
            step, row = word(t, index + 1), word(t, index + 2)
            frame.buffers[name] = Buffer(moved, step, row, name)
            index += 4
        for _, panel in plan.panels:
            count = 1 if plan.modes.packed else len(panel.matrices)
            frame.panels.append(tuple(word(t, index + i, "ptr") for i in range(count)))
            index += count
        return frame

    def row(self, row: str) -> str:
        """The number of a row of this share; shares of ragged rows take turns, long and short."""
        if not self.plan.modes.ragged:
            return row
        return self.text.value(f"add i64 {self.text.value(f'mul i64 {row}, %shares')}, %share")


def word(t: FunctionText, index: int, kind: str = "i64") -> str:
    """An argument."""
    place = t.value(f"getelementptr i64, ptr %args, i64 {index}")
    return t.value(f"load {kind}, ptr {place}")


def smaller(t: FunctionText, a: str, b: str) -> str:
    """The smaller of two whole numbers."""
    less = t.value(f"icmp slt i64 {a}, {b}")
    return t.value(f"select i1 {less}, i64 {a}, i64 {b}")


def loop(t: FunctionText, start: str, end: str, by: int | str, body: Callable[[str], None]) -> None:
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


def choose(
    t: FunctionText, condition: str, one: Callable[[], None], other: Callable[[], None]
) -> None:
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
    """A condition: a segment of the row begins with this step."""
    t = frame.text
    marks, step = word(t, WORDS.index("marks"), "ptr"), word(t, WORDS.index("mark_step"))
    line = t.value(f"mul i64 {frame.place}, {step}")
    place = t.value(f"getelementptr i8, ptr {marks}, i64 {t.value(f'add i64 {line}, {row}')}")
    byte = t.value(f"load i8, ptr {place}")
    return t.value(f"icmp ne i8 {byte}, 0")


SIGNATURE = "ptr %args, i64 %share, i64 %shares, i64 %part, i64 %parts"
"""Arguments of functions that do a share of the work, or a part of the columns of all of it."""

_SPINS = 2048
"""Looks at the counter before the processor is given to another thread."""


def shares(name: str) -> str:
    """`@NAME(args)`: the shares of the thread that it is called on, or its part of the columns."""
    at = {w: WORDS.index(w) for w in WORDS}
    return f"""
define void @{name}(ptr %args) {{
entry:
  %p0 = getelementptr i64, ptr %args, i64 {at["thread_number"]}
  %which = load ptr, ptr %p0
  %id32 = call i32 %which()
  %id = sext i32 %id32 to i64
  %p1 = getelementptr i64, ptr %args, i64 {at["team_size"]}
  %size = load ptr, ptr %p1
  %n32 = call i32 %size()
  %n = sext i32 %n32 to i64
  %p2 = getelementptr i64, ptr %args, i64 {at["shares"]}
  %shares = load i64, ptr %p2
  %p3 = getelementptr i64, ptr %args, i64 {at["by_columns"]}
  %split = load i64, ptr %p3
  %columns = icmp ne i64 %split, 0
  br i1 %columns, label %part, label %head
part:
  call void @{name}.share(ptr %args, i64 0, i64 1, i64 %id, i64 %n)
  ret void
head:
  %i = phi i64 [%id, %entry], [%next, %body]
  %more = icmp slt i64 %i, %shares
  br i1 %more, label %body, label %done
body:
  call void @{name}.share(ptr %args, i64 %i, i64 %shares, i64 0, i64 1)
  %next = add i64 %i, %n
  br label %head
done:
  ret void
}}
"""


def each_thread(name: str) -> str:
    """`@NAME(args)`: calls `@NAME.share(args, share, shares, 0, 1)`, each thread its own."""
    return f"""
define void @{name}(ptr %args) {{
  %which = load ptr, ptr %args
  %id32 = call i32 %which()
  %id = sext i32 %id32 to i64
  %ps = getelementptr i64, ptr %args, i64 1
  %size = load ptr, ptr %ps
  %n32 = call i32 %size()
  %n = sext i32 %n32 to i64
  call void @{name}.share(ptr %args, i64 %id, i64 %n, i64 0, i64 1)
  ret void
}}
"""


def whole(name: str, *, first: str | None = None) -> str:
    """`@NAME.team(args)`, for every thread of a team, and `@NAME.alone(args)`, for one: all of it.

    `@FIRST` and `@FIRST.share` come before `@NAME` and `@NAME.share`.
    """
    alone = "ptr %args, i64 0, i64 1, i64 0, i64 1"
    team = single = ""
    if first is not None:
        team = f"""  call void @{first}(ptr %args)
  %place = getelementptr i64, ptr %args, i64 {WORDS.index("barrier")}
  %wait = load ptr, ptr %place
  call void %wait()
"""
        single = f"  call void @{first}.share({alone})\n"
    return f"""
define void @{name}.team(ptr %args) {{
{team}  call void @{name}(ptr %args)
  ret void
}}
define void @{name}.alone(ptr %args) {{
{single}  call void @{name}.share({alone})
  ret void
}}
"""


def barrier(frame: Frame) -> None:
    """Wait for all threads, where they share the columns: what one wrote another reads next."""
    t = frame.text
    enter, spin, done = t.label("arrive"), t.label("spin"), t.label("together")
    again, yielding, call = t.label("again"), t.label("tired"), t.label("giving")
    alone = t.value("icmp eq i64 %parts, 1")
    t.line(f"br i1 {alone}, label %{done}, label %{enter}")
    t.begin(enter)
    counter = word(t, WORDS.index("arrived"), "ptr")
    before = t.value("load i64, ptr %barriers")
    now = t.value(f"add i64 {before}, 1")
    t.line(f"store i64 {now}, ptr %barriers")
    wanted = t.value(f"mul i64 {now}, %parts")
    t.value(f"atomicrmw add ptr {counter}, i64 1 seq_cst")
    t.line(f"br label %{spin}")
    t.begin(spin)
    t.line(f"%{spin}.i = phi i64 [0, %{enter}], [%{spin}.n, %{again}]")
    t.line(f"%{spin}.n = add i64 %{spin}.i, 1")
    there = t.value(f"load atomic i64, ptr {counter} acquire, align 8")
    all_there = t.value(f"icmp sge i64 {there}, {wanted}")
    t.line(f"br i1 {all_there}, label %{done}, label %{yielding}")
    t.begin(yielding)
    low = t.value(f"and i64 %{spin}.n, {_SPINS - 1}")
    tired = t.value(f"icmp eq i64 {low}, 0")
    t.line(f"br i1 {tired}, label %{call}, label %{again}")
    t.begin(call)
    give_way = word(t, WORDS.index("give_way"), "ptr")
    t.value(f"call i32 {give_way}()")
    t.line(f"br label %{again}")
    t.begin(again)
    t.line(f"br label %{spin}")
    t.begin(done)
