"""Threads of a team in emitted code: which share is whose, and where they wait for one another."""

from __future__ import annotations

from recurra.backends.cpu.frame import WORDS, Frame, word

__all__ = ["SIGNATURE", "barrier", "each_thread", "shares"]

SIGNATURE = "ptr %args, i64 %share, i64 %shares, i64 %part, i64 %parts"
"""What functions that do a share of the work take, or a part of the columns of all of it."""

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
