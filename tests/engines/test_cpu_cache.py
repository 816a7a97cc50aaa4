"""Compiled code on disk: found by all it depends on, rebuilt when damaged, never in the way."""

import ctypes
import errno
import functools
import itertools
import os
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from recurra import nn, settings
from recurra.cells import LSTM
from recurra.engines.cpu.jit import cache, llvm
from recurra.engines.cpu.jit.cache import describe
from recurra.engines.cpu.jit.llvm import cached_addresses, host
from recurra.ir import Node, Size, Where

TEXT = "define i64 @f() {{ ret i64 {} }}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache of its own, and a process that has loaded nothing yet."""
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "code"))
    monkeypatch.setattr(llvm, "_LOADED", {})
    return tmp_path / "code"


def number(text, description="d", target=None):
    """What the code of `text` gives, by way of the cache, as a new process would find it."""
    llvm._LOADED.clear()
    (address,) = cached_addresses(description, text, ("f",), target or host())
    return ctypes.CFUNCTYPE(ctypes.c_int64)(address)()


def giving(value):
    return lambda: TEXT.format(value)


def never():
    raise AssertionError("the text was emitted though its code is kept")


def entries(folder):
    return sorted(folder.iterdir())


def test_what_is_kept_is_not_emitted_again(folder):
    assert number(giving(3)) == 3
    assert number(never) == 3
    assert len(entries(folder)) == 1
    assert number(giving(4), "another") == 4


def run(layer, **marks):
    """Outputs and gradients, for the same weights and input whatever the layer is called."""
    torch.manual_seed(0)
    layer.reset_parameters()
    y, _ = layer(torch.randn(5, 3, 8), **marks)
    y.sum().backward()
    return [y, *(p.grad for p in layer.parameters())]


def own(name, cell, size=7):
    """A layer that nothing was compiled for yet."""
    return nn.Recurrent(type(name, (cell,), {})(), 8, size)


def test_a_layer_from_the_cache_gives_the_same_bits(folder, monkeypatch):
    first = run(own("First", LSTM))
    assert len(entries(folder)) >= 2
    llvm._LOADED.clear()
    monkeypatch.setattr(llvm, "_compile", lambda *_: never())
    assert all(torch.equal(a, b) for a, b in zip(first, run(own("Second", LSTM)), strict=True))


def test_code_that_calls_a_function_of_the_c_library(folder):
    text = (
        "declare double @cosh(double) define i64 @f() { %x = call double @cosh(double 0.0) "
        "%i = fptosi double %x to i64 ret i64 %i }"
    )
    assert [number(lambda: text), number(never)] == [1, 1]


DAMAGES = {
    "empty": lambda data: b"",
    "cut in the head": lambda data: data[:20],
    "cut in the code": lambda data: data[:-1],
    "longer": lambda data: data + b"\0",
    "foreign": lambda data: b"#!/bin/sh\n" * 50,
    **{
        f"bit {place}": lambda data, place=place: (
            data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]
        )
        for place in (0, 10, 12, 43, 44, 75, 76, 200)
    },
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_rebuilt_and_told(folder, caplog, damage):
    number(giving(3))
    (path,) = entries(folder)
    whole = path.read_bytes()
    path.write_bytes(DAMAGES[damage](whole))
    assert number(giving(3)) == 3
    assert path.read_bytes() == whole
    assert [r.message for r in caplog.records if "damaged" in r.message and path.name in r.message]
    assert number(never) == 3


def test_an_entry_under_anothers_name_is_rebuilt(folder):
    number(giving(3))
    (first,) = entries(folder)
    number(giving(4), "another")
    (second,) = set(entries(folder)) - {first}
    second.write_bytes(first.read_bytes())
    assert number(giving(4), "another") == 4


def test_all_that_changes_code_changes_its_key(folder, monkeypatch):
    other = replace(host(), features=host().features + ",-sse4a" * ("sse4a" in host().features))
    for target in (host(), replace(other, cpu="generic"), replace(host(), registers=3)):
        number(giving(3), target=target)
    monkeypatch.setattr(llvm, "_version", lambda: "llvmlite 99")
    number(giving(3))
    monkeypatch.setattr(cache, "_SOURCES", "edited")
    number(giving(3))
    assert len(entries(folder)) == 5


COMPILER = ("engines/cpu", "passes", "ir")
ROOMS = ["engines/cpu", *(f"engines/cpu/{room}" for room in ("plan", "emit", "jit", "run"))]


@pytest.mark.parametrize("place", [*ROOMS, "passes", "ir"])
def test_an_edited_source_is_another_source(tmp_path, place):
    (tmp_path / place).mkdir(parents=True)
    digests = []
    for name, text in (("a.py", "x = 1"), ("a.py", "x = 2"), ("b.py", ""), ("c.txt", "")):
        (tmp_path / place / name).write_text(text)
        digests.append(cache.digest_sources(tmp_path))
    assert len(set(digests)) == 3
    assert cache._SOURCES not in digests


def test_a_source_in_another_room_is_another_source(tmp_path):
    """Names are those within the package: a file moved from room to room is not the same."""
    digests = []
    for room in ("plan", "emit"):
        root = tmp_path / room
        (root / "engines/cpu" / room).mkdir(parents=True)
        (root / "engines/cpu" / room / "a.py").write_text("x = 1")
        digests.append(cache.digest_sources(root))
    assert len(set(digests)) == 2


def test_every_file_of_the_compiler_is_among_the_sources():
    root = Path(cache.__file__).parents[3]
    found = {
        path
        for path in root.rglob("*.py")
        if path.relative_to(root).as_posix().startswith(COMPILER)
    }
    assert set(cache.sources(root)) == found
    assert {path.parent.relative_to(root).as_posix() for path in found} == {*ROOMS, "passes", "ir"}
    assert len(found) > 30


@pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX's")
def test_what_others_could_have_written_is_not_run(folder, caplog, monkeypatch):
    number(giving(3))
    (path,) = entries(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o620)
    assert number(giving(4)) == 4
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    status = path.stat()
    foreign = os.stat_result([*status[:4], status.st_uid + 1, *status[5:]])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", lambda file: foreign)
        assert number(giving(5)) == 5
    assert caplog.text.count("may write") == caplog.text.count("another user") == 1


@pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX's")
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_may_write_to_is_not_used(folder, caplog, mode):
    number(giving(3))
    (path,) = entries(folder)
    folder.chmod(mode)
    assert [number(giving(4)), number(giving(5), "another")] == [4, 5]
    assert entries(folder) == [path]
    told = [r.message for r in caplog.records if f"not kept in {folder}: others than" in r.message]
    assert len(told) == 1
    assert "Set RECURRA_CACHE to a folder that you alone may write to, or to off" in told[0]
    folder.chmod(0o755)
    assert number(never) == 3


@pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX's")
def test_a_folder_of_another_user_is_not_used(folder, caplog, monkeypatch):
    folder.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    assert number(giving(3)) == 3
    assert entries(folder) == []
    assert f"not kept in {folder}: it belongs to another user" in caplog.text


def test_a_folder_that_cannot_be(folder, caplog):
    folder.write_text("a file")
    assert [number(giving(3)), number(giving(4))] == [3, 4]
    told = [r.message for r in caplog.records if str(folder) in r.message]
    assert len(told) == 2  # one for reading, one for writing
    assert all("RECURRA_CACHE" in m for m in told)


def test_a_full_disk(folder, caplog, monkeypatch):
    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("recurra.files.write_synced", full)
    assert [number(giving(3)), number(giving(4))] == [3, 4]
    assert caplog.text.count("No space left") == 1
    assert entries(folder) == []


def test_off(folder, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", "off")
    assert [number(giving(3)), number(giving(4))] == [3, 4]
    assert not folder.exists()


def test_the_longest_unused_go_first(folder, monkeypatch):
    for value in range(4):
        number(giving(value), str(value))
        os.utime(max(entries(folder), key=os.path.getmtime), (value + 1, value + 1))
    (folder / "not ours").write_bytes(b"0" * 5000)
    size = max(p.stat().st_size for p in folder.glob("*code"))
    number(never, "0")  # its use makes it the youngest
    monkeypatch.setattr(cache, "LIMIT", 3 * size + 8)
    number(giving(9), "9")
    assert [number(never, d) for d in "039"] == [0, 3, 9]
    assert len(entries(folder)) == 4
    assert number(giving(7), "2") == 7


def test_threads_that_ask_at_once_get_one_compilation(folder):
    emitted, found, all_ask = itertools.count(), [], threading.Event()

    def text():
        next(emitted)
        assert all_ask.wait(60)
        return TEXT.format(3)

    def ask():
        found.append(cached_addresses("d", text, ("f",), host()))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    all_ask.set()
    for thread in threads:
        thread.join()
    assert (len(found), len(set(found)), next(emitted)) == (4, 1, 1)


PROCESS = """
import ctypes, sys
from recurra.engines.cpu.jit.llvm import cached_addresses, host
sys.stdin.read(1)
for i in range(30):
    text = lambda: "define i64 @f() { ret i64 %d }" % i
    (address,) = cached_addresses(str(i), text, ("f",), host())
    assert ctypes.CFUNCTYPE(ctypes.c_int64)(address)() == i
"""


def test_processes_that_compile_at_once(folder):
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = [subprocess.Popen([sys.executable, "-c", PROCESS], **pipes) for _ in range(2)]
    for process in running:
        process.stdin.write(b".")
        process.stdin.flush()
    assert [p.communicate()[1] for p in running] == [b"", b""]
    assert [p.returncode for p in running] == [0, 0]
    assert len(entries(folder)) == 30


def test_a_description_stands_for_one_text(folder, monkeypatch):
    keys, texts, repeated = [], {}, []
    real, compile_ = cache.make_key, functools.cache(llvm._compile)

    def make_key(*parts):
        llvm._LOADED.clear()
        keys.append(real(*parts))
        return keys[-1]

    def compile_again(text, target):
        repeated.append(keys[-1] in texts)
        assert texts.setdefault(keys[-1], text) == text
        return compile_(text, target)

    monkeypatch.setattr(llvm, "make_key", make_key)
    monkeypatch.setattr(cache, "load", lambda *_: None)
    monkeypatch.setattr(llvm, "_compile", compile_again)
    for cell, size, lengths in ((LSTM, 7, None), (LSTM, 7, [5, 1, 0]), (LSTM, 8, None)):
        for name in ("Once", "Twice"):
            run(own(name + str(lengths), cell, size), lengths=lengths)
    assert sum(repeated) >= 6
    assert len(set(texts.values())) >= 6


DESCRIBE = """
from recurra.engines.cpu.jit.cache import describe
from recurra.cells import CELLS
from recurra.passes import lower
print(describe(lower(CELLS["gru"].graph()).loops))
"""


def test_a_description_is_the_same_in_every_process():
    found = {
        subprocess.check_output(
            [sys.executable, "-c", DESCRIBE], env=os.environ | {"PYTHONHASHSEED": seed}
        )
        for seed in "12"
    }
    assert len(found) == 1
    assert b"0x" not in found.pop()


def leaf(detail, where=None):
    return Node("const", (), detail, (Size("hidden_size"),), where)


def test_descriptions_tell_values_apart():
    x, y = leaf(1.0), leaf(1.0)
    different = [
        *(leaf(v) for v in (1.0, 1, True, 0.0, -0.0, "1.0", None, (1.0,), float("nan"))),
        Node("add", (x, x), None, x.shape),
        Node("add", (x, y), None, x.shape),
        Node("add", (x, Node("tanh", (x,), None, x.shape)), None, x.shape),
        {"a": 1},
        {"a": 2},
    ]
    assert len({describe(v) for v in different}) == len(different)
    assert describe(leaf(1.0, Where("a.py", 3))) == describe(leaf(1.0, Where("b.py", 4)))
    assert describe({"a": 1, "b": 2}) == describe({"b": 2, "a": 1})
    with pytest.raises(TypeError, match="no description"):
        describe(leaf(object()))


def test_a_deep_graph_of_shared_nodes_is_described_once():
    node = leaf(1.0)
    for _ in range(3000):
        node = Node("add", (node, node), None, node.shape)
    above = Node("tanh", (node,), None, node.shape)
    assert describe(node).count("\n") == 3001
    assert describe((node, above, node)).count("\n") == 3002


@pytest.mark.parametrize(
    ("platform", "variables", "wanted"),
    [
        ("linux", {}, "/home/me/.cache/recurra"),
        ("linux", {"XDG_CACHE_HOME": "/scratch"}, "/scratch/recurra"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, None),
        ("darwin", {"XDG_CACHE_HOME": "/scratch"}, "/home/me/Library/Caches/recurra"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/recurra"),
        ("linux", {"RECURRA_CACHE": "/there"}, "/there"),
        ("linux", {"RECURRA_CACHE": "~/there"}, "/home/me/there"),
        ("linux", {"RECURRA_CACHE": "off"}, None),
    ],
)
def test_the_folder(platform, variables, wanted, monkeypatch):
    for name in ("RECURRA_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (variables | {"HOME": "/home/me"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert settings.cache_folder() == (Path(wanted) if wanted else None)
