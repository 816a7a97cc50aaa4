"""Progress of a training as shown on a terminal and elsewhere, and TensorBoard's events."""

import io
import re
import sys

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_toys import Noise, new_toy, square_loss, train, validation

from recurra.errors import MissingExtra
from recurra.training import RichProgress, Run, TrainingConfig, fit


class Listening:
    def __init__(self):
        self.heard = []

    def start(self, total_steps, step):
        self.heard.append(("start", total_steps, step))

    def update(self, step, epoch, loss, tokens_per_second, **more):
        self.heard.append((step, epoch))

    def message(self, text):
        self.heard.append(text)

    def stop(self):
        self.heard.append("stop")


def train_with(progress, path, **options):
    return fit(
        new_toy(),
        Noise(2),
        square_loss,
        config=TrainingConfig(epochs=2, **options),
        run=Run.create(path, {}),
        validate=validation,
        progress=progress,
    )


def test_what_fit_tells(tmp_path):
    progress = Listening()
    train_with(progress, tmp_path)
    steps = [(1, 1), (2, 1), (3, 2), (4, 2)]
    assert progress.heard == [("start", 4, 0), *steps, "stop"]


def test_where_it_goes_on_is_told(tmp_path):
    run, config, progress = Run.create(tmp_path, {}), TrainingConfig(max_steps=1), Listening()
    for _ in range(2):
        fit(
            new_toy(),
            Noise(),
            square_loss,
            config=config,
            run=run,
            resume=True,
            progress=progress,
        )
    told = [text for text in progress.heard if isinstance(text, str) and text != "stop"]
    assert told == [
        "No step is saved yet: training starts from the beginning.",
        "Resuming after step 1.",
    ]


def test_lines_where_there_is_no_terminal(tmp_path):
    out = io.StringIO()
    console = Console(file=out, width=200)
    train_with(RichProgress(console, seconds_between_lines=0), tmp_path)
    last = out.getvalue().splitlines()[-1]
    assert last.startswith("step 4/4 · epoch 2 · loss ")
    assert " · validation loss 0." in last
    assert last.endswith(" tokens/s · 0:00:00 left")
    assert "\x1b" not in out.getvalue()


def test_the_metric_is_shown_by_its_name():
    out = io.StringIO()
    progress = RichProgress(Console(file=out, width=200), seconds_between_lines=0)
    progress.start(9, 0)
    progress.update(1, 1, 2.0, 30.0, validation=0.25, metric="wer")
    assert " · validation wer 0.2500 · " in out.getvalue()


def test_a_bar_on_a_terminal(tmp_path):
    out = io.StringIO()
    progress = RichProgress(Console(file=out, width=200, force_terminal=True))
    train_with(progress, tmp_path)
    progress.message("[all] done")
    assert "4/4" in out.getvalue()
    assert "epoch 2 · loss " in out.getvalue()
    assert "[all] done" in out.getvalue()


def test_a_resumed_training_has_what_its_limit_leaves(monkeypatch):
    monkeypatch.setattr("recurra.training.progress.time.monotonic", lambda: 7.0)
    out = io.StringIO()
    progress = RichProgress(Console(file=out, width=200), max_minutes=30, seconds_between_lines=0)
    progress.start(None, 100)
    progress.update(101, 3, 2.0, 30.0, seconds=1200.0)
    assert out.getvalue().endswith("0:10:00 left\n")


def test_the_time_left_is_bounded_by_the_limit():
    out = io.StringIO()
    progress = RichProgress(Console(file=out), max_minutes=1e-9, seconds_between_lines=0)
    progress.start(10**9, 0)
    progress.update(1, 1, 2.0, 30.0)
    assert "loss 2.0000 · 30 tokens/s · 0:00:00 left" in out.getvalue()


def test_a_training_that_time_alone_ends_has_no_number_of_steps():
    out = io.StringIO()
    progress = RichProgress(Console(file=out), max_minutes=1e-9, seconds_between_lines=0)
    progress.start(None, 0)
    progress.update(1, 1, 2.0, 30.0)
    assert out.getvalue().startswith("step 1 · epoch 1 · loss 2.0000")
    assert out.getvalue().endswith("0:00:00 left\n")
    bar = RichProgress(Console(file=out, width=200, force_terminal=True), max_minutes=1)
    bar.start(None, 0)
    bar.stop()
    assert "0/?" in out.getvalue()


def test_the_speed_is_in_the_words_of_the_task(tmp_path):
    out = io.StringIO()
    train_with(RichProgress(Console(file=out, width=200), unit="values"), tmp_path)
    assert " values/s · " in out.getvalue()
    assert "tokens" not in out.getvalue()


def test_tensorboard_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtra, match=r"pip install 'recurra\[tensorboard\]'"):
        train(tmp_path, tensorboard=True)
    assert not (tmp_path / "checkpoints").exists()


def test_tensorboard_gets_the_same_numbers(tmp_path):
    train(tmp_path, tensorboard=True, check=validation, max_steps=5)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    written = {row["step"]: row["loss"] for row in Run.open(tmp_path).metrics() if "loss" in row}
    shown = {event.step: event.value for event in events.Scalars("training/loss")}
    assert shown == pytest.approx(written)
    assert [event.step for event in events.Scalars("validation/loss")][-1] == 5


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_numbers_of_a_bar_fit_the_terminal(width):
    out = io.StringIO()
    progress = RichProgress(Console(file=out, width=width, force_terminal=True))
    progress.start(1_000_000, 123_000)
    progress.update(1_000_000, 12, 2.345678, 123_456.0, validation=2.3456)
    progress.stop()
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()).splitlines()[-1]
    assert "1000000/1000000 " in last
    assert last.rstrip().endswith("0:00:00 left")
    assert "epoch 12" in last
    assert len(last) <= width
    assert ("tokens/s" in last) == (width >= 120)
