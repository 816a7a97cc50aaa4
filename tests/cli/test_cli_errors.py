"""A user's mistake: one line on stderr that says what to do, exit code 2, no traceback, no loss."""

import errno
import shlex
import signal

import pytest

from recurra import files
from recurra.interrupts import Interrupted
from recurra.training.checkpointing import Checkpoints

pytestmark = pytest.mark.usefixtures("undrawn")


def told(result, *parts):
    """Ended with one line that has every one of `parts`, and with exit code 2."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    line = result.stderr.splitlines()[-1]
    assert line.startswith("recurra: ")
    assert result.stderr.count("recurra: ") == 1
    for part in parts:
        assert part in line


BAD_FILES = {
    "empty": (b"", "is empty"),
    "binary": (b"\x00\x01", "is binary"),
    "latin": (b"caf\xe9", "iconv"),
    "short": (b"s", "too few to keep 10% for validation"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be_used(recurra, here, name):
    data, message = BAD_FILES[name]
    (here / name).write_bytes(data)
    told(recurra("train", "language", name, "--out", "r"), message)
    assert not (here / "r").exists()


@pytest.mark.parametrize("verb", [("train", "language", "--out", "r"), ("evaluate", "RUN")])
def test_a_file_that_is_not_there(recurra, run, verb):
    words = [run if word == "RUN" else word for word in verb]
    told(recurra(*words, "none.txt"), "none.txt: no such file")
    told(recurra(*words, "."), "is a directory")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("tarin",), ("did you mean train?",)),
        (("train", "langage"), ("did you mean language?",)),
        (("train", "language", "--hiden", "3", "--out", "r"), ("--hidden",)),
        (("train", "language", "--lr", "3", "--out", "r"), ("did you mean --learning-rate?",)),
        (("train", "forecast", "--h", "3", "--out", "r"), ("did you mean --horizon?",)),
        (("train", "language", "--quiet", "--out", "r"), ("no option --quiet; progress is",)),
        (("train", "language", "--gpu", "--out", "r"), ("no option --gpu; models train",)),
        (("generate", "r", "--zzz"), ("There is no option --zzz. See",)),
        (("--hlep",), ("did you mean --help?",)),
        (("train", "cats.txt"), ("cats.txt is a file; name a task first: classify, forecast",)),
        (("generate", "r", "hello"), ("argument (hello). See",)),
        (("train", "language"), ("--out",)),
        (("train", "language", "--cell", "lsmt", "--out", "r"), ("did you mean lstm?",)),
        (("train", "language", "--level", "letter", "--out", "r"), ("'char', 'byte', 'word'",)),
        (("train", "language", "--hidden", "many", "--out", "r"), ("--hidden", "whole number")),
        (("train", "language", "--hidden", "0", "--out", "r"), ("hidden = 0", "at least 1")),
        (("train", "language", "--hidden", "none", "--out", "r"), ("--hidden", "whole number")),
        (("train", "language", "--config", "none.toml", "--out", "r"), ("none.toml",)),
        (("cells", "nogru"), ("did you mean",)),
        (("cells", "nowhere.cell:Mine"), ("no module 'nowhere'",)),
        (("evaluate", "nowhere"), ("nowhere does not exist",)),
        (("generate", "."), ("is not a run",)),
    ],
)
def test_a_word_that_cannot_be(recurra, words, parts):
    told(recurra(*words), *parts)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hiden = 3", ("c.toml", "did you mean 'hidden'")),
        ("hidden = 'a'", ("c.toml", "hidden = 'a'")),
        ("[training]\nhidden = 3", ("c.toml", "[training] is a table; every setting")),
        ("hidden = 3\n= 4", ("c.toml", "not TOML", "line 2")),
    ],
)
def test_a_configuration_that_cannot_be(recurra, here, text, parts):
    (here / "c.toml").write_text(text)
    told(recurra("train", "language", "--config", "c.toml", "--out", "r"), *parts)


@pytest.mark.parametrize(
    "words",
    [
        *[("--length", "0"), ("--top-p", "2"), ("--temperature", "-1"), ("--temperature", "warm")],
        *[("--top-k", "2.5"), ("--top-k", "-1"), ("--seed", "x")],
    ],
)
def test_a_number_that_generate_cannot_take(recurra, run, words):
    told(recurra("generate", run, *words), words[1])


def test_unknown_characters_in_a_prompt_are_a_note(recurra, run):
    result = recurra("generate", run, "--prompt", "5 €\t", "--length", 3)
    assert result.exit_code == 0
    assert result.stderr.startswith("Note: The prompt has 2 characters")
    assert result.stderr.count("\n") == 1


def test_an_output_directory_that_holds_something_else(recurra, run):
    told(recurra("train", "language", "cats.txt", "--out", run), "another run", "--resume")
    told(recurra("train", "language", "cats.txt", "--out", "."), "never deleted")


def test_an_output_that_is_a_file(recurra):
    told(recurra("train", "language", "cats.txt", "--out", "cats.txt"), "cats.txt is a file;")
    told(recurra("train", "language", "cats.txt", "--out", "cats.txt/r"), "cats.txt is a file;")
    words = ("adding", "--cells", "rnn", "--hidden", 2, "--out", "cats.txt")
    told(recurra("compare", *words), "cats.txt is a file;")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_flipped_bit(recurra, here, run, name):
    for path in run.iterdir():
        if path.is_file():
            (here / path.name).write_bytes(path.read_bytes())
    data = bytearray((here / name).read_bytes())
    data[len(data) // 2] ^= 1
    (here / name).write_bytes(data)
    told(recurra("generate", "."), name, "damaged")


def test_a_setting_that_a_resumed_run_cannot_change(recurra, run):
    words = ("--resume", "--out", run, "--hidden", 9)
    told(recurra("train", "language", *words), "hidden = 9", "hidden = 6")


def test_a_disk_that_fills(recurra, here, monkeypatch):
    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    write = files.write_synced
    small = ("--hidden", 4, "--batch-size", 4, "--window", 16)
    assert (
        recurra("train", "language", "cats.txt", *small, "--max-steps", 2, "--out", "r").exit_code
        == 0
    )
    monkeypatch.setattr("recurra.runs.saving.write_synced", full)
    result = recurra("train", "language", "--resume", "--max-steps", 4, "--out", "r")
    told(result, "disk is full", "--resume")
    monkeypatch.setattr("recurra.runs.saving.write_synced", write)
    assert recurra("train", "language", "--resume", "--max-steps", 4, "--out", "r").exit_code == 0


BROKEN = {
    "syntax": ("def step(:\n", "own_syntax.py:1: SyntaxError"),
    "import": ("import recurra\n1 / 0\n", "own_import.py:2: ZeroDivisionError"),
    "class": ("Mine = 3\n", "subclass of Cell"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize(
    "verb", [("train", "language", "cats.txt", "--out", "r", "--cell"), ("cells",)]
)
def test_a_module_of_the_users_that_fails(recurra, here, name, verb):
    text, message = BROKEN[name]
    (here / f"own_{name}.py").write_text(text)
    told(recurra(*verb, f"own_{name}:Mine"), message)
    assert not (here / "r").exists()


def test_equations_that_cannot_be_name_their_line(recurra, here):
    (here / "own_gate.py").write_text(
        "from recurra.cells import Cell\n\nclass Mine(Cell):\n    states = ('h',)\n\n"
        "    def step(self, x, h, W, U):\n        return W.q @ x + U @ h\n"
    )
    told(recurra("cells", "own_gate:Mine"), "own_gate.py:7")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--hidden", 10**7), ("800,00", "parameters", "GiB for weights")),
        (("--hidden", 10**13), ("at most 100000000",)),
        (("--layers", 10**9), ("at most 1000",)),
        (("--dilation", 10**12, "--layers", 4), ("not enough memory for a further",)),
    ],
)
def test_a_model_that_no_memory_holds(recurra, words, parts):
    small = ("--batch-size", 4, "--window", 16, "--max-steps", 1, "--hidden", 4)
    told(recurra("train", "language", "cats.txt", *small, *words, "--out", "r"), *parts)


@pytest.mark.parametrize("at", [1, 2])
def test_a_second_interrupt_still_says_how_to_resume(recurra, monkeypatch, at):
    saves, save = [], Checkpoints.save

    def interrupted(*given):
        saves.append(given)
        if len(saves) == at:
            raise Interrupted(signal.SIGINT)
        save(*given)

    small = ("--hidden", 4, "--batch-size", 4, "--window", 16, "--max-steps", 9)
    words = ("train", "language", "cats.txt", *small, "--checkpoint-every", 3, "--out", "my r")
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save", interrupted)
        result = recurra(*words)
    assert result.exit_code == 130
    command = "recurra train language --resume --out 'my r'"
    assert command in result.stdout
    assert recurra(*shlex.split(command)[1:]).exit_code == 0


@pytest.mark.parametrize("page", ["cats.txt", "nowhere/page.html"])
def test_a_page_that_cannot_be(recurra, here, run, page):
    before = (here / "cats.txt").read_bytes()
    told(recurra("inspect", run, "--out", page), page, "page.html")
    assert (here / "cats.txt").read_bytes() == before
