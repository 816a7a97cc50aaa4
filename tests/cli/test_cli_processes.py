"""The command line as a process: what it loads, signals, pipes, and going on after SIGKILL."""

import signal
import time

import pytest

pytestmark = pytest.mark.usefixtures("undrawn")

SMALL = ("--hidden", 8, "--batch-size", 4, "--window", 16, "--dropout", 0.2, "--valid-fraction", 0)
LONG = (*SMALL, "--epochs", 100_000, "--checkpoint-every", 5)


def finished(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def wait_for(path, process):
    """Until `path` is there, which the process makes while it runs."""
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.parametrize(
    "words", [("--help",), ("train", "--help"), ("train", "language", "--help")]
)
def test_help_loads_nothing_heavy(process, words):
    code, out, err = finished(process(*words, python=("-X", "importtime", "-m", "recurra")))
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in err.splitlines()}
    assert code == 0
    assert out.startswith("Usage:")
    assert "click" in loaded
    assert not loaded & {"torch", "numpy", "rich", "safetensors"}


@pytest.mark.parametrize(
    ("session", "number", "code"),
    [("ctrl_c", signal.SIGINT, 130), ("background", signal.SIGTERM, 143)],
)
def test_a_signal_saves_and_says_how_to_resume(process, here, request, session, number, code):
    request.getfixturevalue(session)
    training = process("train", "language", "cats.txt", *LONG, "--out", "r")
    wait_for(here / "r/checkpoints/step-00000005", training)
    training.send_signal(number)
    found, out, err = finished(training)
    assert found == code
    assert "recurra train language --resume --out r" in out
    assert "Traceback" not in err


def test_going_on_after_a_kill_gives_the_same_bits(process, here, recurra):
    words = (*LONG, "--schedule", "constant")
    killed = process("train", "language", "cats.txt", *words, "--out", "killed")
    wait_for(here / "killed/checkpoints/step-00000015", killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    newest = max((here / "killed/checkpoints").glob("step-*")).name
    limit = ("--max-steps", int(newest.removeprefix("step-")) + 12)
    assert recurra("train", "language", "--resume", "--out", "killed", *limit).exit_code == 0
    words = (*words, *limit, "--checkpoint-every", 1000)
    assert recurra("train", "language", "cats.txt", *words, "--out", "whole").exit_code == 0
    one, other = (here / name / "model.safetensors" for name in ("killed", "whole"))
    assert one.read_bytes() == other.read_bytes()


def test_text_streams_into_a_pipe_until_that_is_closed(process, run):
    generating = process("generate", run, "--length", 10_000_000)
    assert len(generating.stdout.read(10)) == 10
    generating.stdout.close()
    assert generating.wait(timeout=60) == 1
    assert generating.stderr.read() == ""


def test_a_terminal_without_the_signs_gets_marks_for_them(process):
    words = ("cells", "rnn")
    code, out, err = finished(process(*words, encoding="latin-1"))
    assert (code, err) == (0, "")
    assert "h? = tanh(W x? + U h??? + b)" in out
