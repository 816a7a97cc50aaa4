"""The command line as a process: what it loads, signals, pipes, and resuming after SIGKILL."""

import signal
import time

import pytest
import torch

from recurra.settings import Launched
from recurra.training import Run

pytestmark = pytest.mark.usefixtures("undrawn")

SMALL = ("--hidden", 8, "--batch-size", 4, "--window", 16, "--dropout", 0.2, "--valid-fraction", 0)
LONG = (*SMALL, "--epochs", 100_000, "--checkpoint-every", 5)


def finished(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def wait_for(step, run, process):
    """Until the run has a checkpoint of that step or a later one: of old ones only two are kept."""
    while not any(int(path.name[5:]) >= step for path in run.glob("checkpoints/step-*")):
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


MISTAKES = (
    ("train", "language", "none.txt", "--out", "r"),
    ("train", "language", "cats.txt", "--valid", "none.txt", "--out", "r"),
    ("train", "forecast", "none.csv", "--horizon", "3", "--out", "r"),
    ("train", "language", "cats.txt", "--cell", "lsmt", "--out", "r"),
    ("train", "language", "cats.txt", "--from", "nowhere", "--out", "r"),
    ("train", "language", "cats.txt", "--out", "."),
    ("train", "language", "cats.txt", "--out", "cats.txt"),
    ("train", "language", "cats.txt", "--out", "cats.txt/r"),
    ("generate", "none"),
    ("generate", "RUN", "--temperature", "-1"),
    ("generate", "RUN", "--temperature", "0", "--top-k", "3"),
    ("generate", "RUN", "--top-p", "2"),
    ("generate", "RUN", "--length", "0"),
    ("generate", "RUN", "--seed", "-1"),
    ("evaluate", "none"),
    ("evaluate", "RUN", "none.txt"),
    ("inspect", "RUN", "none.txt"),
    ("forecast", "none"),
    ("compare", "adding", "--cells", "lsmt", "--out", "c"),
    ("compare", "language", "none.txt", "--cells", "gru", "--out", "c"),
)

TRY = """
import sys
from click.testing import CliRunner
from recurra.cli import main
for words in %r:
    result = CliRunner().invoke(main, words)
    print(result.exit_code, "torch" in sys.modules, result.stderr.strip())
"""


def test_simple_mistakes_are_said_before_torch_is_loaded(process, run):
    words = [[str(run) if word == "RUN" else word for word in line] for line in MISTAKES]
    code, out, err = finished(process(python=("-c", TRY % (words,))))
    assert code == 0, err
    lines = out.splitlines()
    assert len(lines) == len(MISTAKES)
    for mistake, line in zip(MISTAKES, lines, strict=True):
        assert line.startswith("2 False recurra: "), (mistake, line)


@pytest.mark.parametrize(
    ("session", "number", "code"),
    [("ctrl_c", signal.SIGINT, 130), ("background", signal.SIGTERM, 143)],
)
def test_a_signal_saves_and_says_how_to_resume(process, here, request, session, number, code):
    request.getfixturevalue(session)
    training = process("train", "language", "cats.txt", *LONG, "--out", "r")
    wait_for(5, here / "r", training)
    training.send_signal(number)
    found, out, err = finished(training)
    assert found == code
    assert "recurra train language --resume --out r" in out
    assert "Traceback" not in err


@pytest.mark.parametrize("how", ["--resume", "--overwrite"])
def test_a_run_that_is_being_trained_is_refused(process, here, recurra, how):
    training = process("train", "language", "cats.txt", *LONG, "--out", "r")
    wait_for(5, here / "r", training)
    second = recurra("train", "language", "cats.txt", *LONG, how, "--out", "r")
    assert second.exit_code == 2
    assert f"r is being trained by process {training.pid} on " in second.stderr
    assert recurra("generate", "r", "--length", 5).exit_code == 0
    training.send_signal(signal.SIGTERM)
    assert finished(training)[0] == 143


TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "recurra")


def test_two_processes_train_as_one(process, here, recurra):
    words = ("train", "language", "cats.txt", "--hidden", 8, "--batch-size", 4, "--window", 16)
    words = (*words, "--max-steps", 12, "--validate-every", 6)
    code, out, err = finished(process(*words, "--out", "two", python=TWO))
    assert code == 0, err
    assert out.count("Trained into") == out.count("A sample") == 1
    assert {path.name for path in (here / "two").iterdir()} >= {"README.md", "report.html"}
    assert recurra(*words, "--out", "one").exit_code == 0
    one, two = (Run.open(here / name) for name in ("one", "two"))
    for name, weight in one.load_model().items():
        torch.testing.assert_close(two.load_model()[name], weight, rtol=1e-5, atol=1e-6)
    rows = [[row for row in run.metrics() if "validation" in row] for run in (one, two)]
    found = [[row["validation"]["loss"] for row in each] for each in rows]
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    refused = recurra("train", "language", "--resume", "--out", "two", "--max-steps", 14)
    assert refused.exit_code == 2
    assert "saved by 2 processes, and this is one process" in refused.stderr


def test_two_processes_train_a_forecaster_as_one(process, here, recurra):
    rows = [f"{name},{day},{(day * 7 + ord(name)) % 5 if day % 4 else ''}" for name in "ab"
            for day in range(60 if name == "a" else 25)]  # fmt: skip
    (here / "gaps.csv").write_text("\n".join(["unique_id,ds,y", *rows]))
    words = ("train", "forecast", "gaps.csv", "--horizon", 2, "--hidden", 4, "--batch-size", 4)
    words = (*words, "--max-steps", 6, "--dropout", 0, "--lookback", 6, "--model", "direct")
    code, out, err = finished(process(*words, "--out", "two", python=TWO))
    assert code == 0, err
    assert out.count("Trained into") == err.count("Note: ") == 1
    assert recurra(*words, "--out", "one").exit_code == 0
    one, two = (Run.open(here / name).load_model() for name in ("one", "two"))
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=1e-5, atol=1e-6, equal_nan=True)


def test_sigterm_to_torchrun_stops_both_saved(process, here):
    training = process("train", "language", "cats.txt", *LONG, "--out", "r", python=TWO)
    wait_for(5, here / "r", training)
    training.send_signal(signal.SIGTERM)
    _, out, err = finished(training)
    assert out.count("recurra train language --resume --out r") == 1
    assert not (here / "r/training.lock").exists()
    assert "recurra: " not in err


def test_commands_that_torchrun_is_not_for(recurra, monkeypatch):
    monkeypatch.setattr("recurra.cli.app.launched", lambda: Launched(rank=0, world_size=2))
    refused = recurra("cells", "lstm")
    assert refused.exit_code == 2
    assert "only train runs under torchrun" in refused.stderr


def test_resuming_after_a_kill_gives_the_same_bits(process, here, recurra):
    words = (*LONG, "--schedule", "constant")
    killed = process("train", "language", "cats.txt", *words, "--out", "killed")
    wait_for(15, here / "killed", killed)
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
