"""The long-range task: its sequences, its model, a run from training to test."""

import gzip
import math
import struct

import numpy as np
import pytest
import torch

import recurra
from recurra.errors import ConfigError, DataError, RunError
from recurra.tasks.long_range import LongRange, LongRangeConfig
from recurra.tasks.long_range.model import LongRangeNet, loss_of, measure
from recurra.tasks.long_range.sequences import held_out, training_windows
from recurra.tasks.long_range.task import LongRangeTask
from recurra.tasks.task import Evaluation
from recurra.training import Run

pytestmark = pytest.mark.usefixtures("undrawn")

TINY = {"length": 12, "hidden": 4, "batch_size": 3, "max_steps": 4, "log_every": 2}
TINY |= {"validate_every": 2, "test_sequences": 10, "validation_sequences": 5}


def config(**settings):
    return LongRangeConfig(**{**TINY, **settings})


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """Seven digits of noise in each part, where RECURRA_DATA says."""
    folder = tmp_path / "mnist_subset"
    folder.mkdir()
    noise = np.random.default_rng(0)
    for part in ("train", "valid", "test"):
        for name, shape in (("images-idx3", (7, 28, 28)), ("labels-idx1", (7,))):
            array = noise.integers(0, 10, shape, dtype=np.uint8)
            header = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
            path = folder / f"{part}-{name}-ubyte.gz"
            path.write_bytes(gzip.compress(header + array.tobytes()))
    monkeypatch.setenv("RECURRA_DATA", str(tmp_path))


def test_a_batch_is_the_same_whenever_it_is_asked_for_and_no_two_are():
    windows = training_windows(config())
    first, second = windows.window(0, 0).inputs, windows.window(0, 1).inputs
    assert torch.equal(first, windows.window(0, 0).inputs)
    assert not torch.equal(first, second)
    assert not torch.equal(first, training_windows(config(seed=1)).window(0, 0).inputs)


@pytest.mark.parametrize("part", ["valid", "test"])
def test_held_out_sequences_are_the_same_for_every_seed(part):
    batches = [list(held_out(config(seed=seed), part)) for seed in (0, 1)]
    assert [b.inputs.shape[1] for b in batches[0]] == ([3, 2] if part == "valid" else [3, 3, 3, 1])
    for one, other in zip(*batches, strict=True):
        assert torch.equal(one.inputs, other.inputs)


def test_training_validation_and_test_share_no_sequence():
    same = {"batch_size": 5, "test_sequences": 5}
    parts = [next(held_out(config(**same), part)).inputs for part in ("valid", "test")]
    parts.append(training_windows(config(**same)).window(0, 0).inputs)
    rows = {tuple(row.flatten().tolist()) for part in parts for row in part.unbind(1)}
    assert len(rows) == 15


def test_digits_are_dealt_once_an_epoch_in_another_order(digits):
    windows = training_windows(config(problem="mnist", length=784))
    assert len(windows) == 2
    epochs = [torch.cat([windows.window(e, i).inputs for i in (0, 1)], 1) for e in (0, 1)]
    assert epochs[0].shape == (784, 6, 1)
    assert len({tuple(row.flatten().tolist()) for row in epochs[0].unbind(1)}) == 6
    assert not torch.equal(*epochs)
    assert 0 <= epochs[0].min() <= epochs[0].max() <= 9 / 255


def test_permuted_digits_have_the_same_pixels_in_one_other_order(digits):
    plain, permuted = (
        next(held_out(config(problem=name, length=784), "test")).inputs[..., 0]
        for name in ("mnist", "mnist-permuted")
    )
    assert not torch.equal(plain, permuted)
    assert torch.equal(plain.sort(0).values, permuted.sort(0).values)
    columns = {tuple(row.tolist()) for row in plain}
    assert {tuple(row.tolist()) for row in permuted} == columns


def test_no_digits_is_an_error_that_says_where_they_go(tmp_path, monkeypatch):
    monkeypatch.delenv("RECURRA_DATA", raising=False)
    with pytest.raises(DataError, match="RECURRA_DATA is unset; set it to a folder"):
        LongRange(problem="mnist").fit(out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_fewer_digits_than_a_batch(digits):
    with pytest.raises(DataError, match="7 sequences to train on, fewer than batch_size = 8"):
        training_windows(config(problem="mnist", length=784, batch_size=8))


@pytest.mark.parametrize(
    ("problem", "shape"), [("adding", (3, 1)), ("copy", (32, 3, 10)), ("temporal-order", (3, 4))]
)
@pytest.mark.parametrize("how", [{}, {"layers": 2, "skip": "residual", "norm": "pre"}])
def test_outputs(problem, shape, how):
    settings = config(problem=problem, **how)
    net = LongRangeNet(settings)
    batch = training_windows(settings).window(0, 0)
    assert net(batch.inputs).shape == shape
    loss_of(net(batch.inputs), batch.targets).backward()
    assert all(p.grad is not None for p in net.parameters())


def test_measure_counts_every_sequence_once():
    settings = config(problem="copy")
    net, batches = LongRangeNet(settings), list(held_out(settings, "test"))
    whole = [torch.cat(parts, 1) for parts in zip(*batches, strict=True)]
    outputs = net(whole[0])
    found = measure(net, batches)
    assert found.loss == pytest.approx(loss_of(outputs, whole[1]).item(), rel=1e-5)
    right = (outputs.argmax(-1) == whole[1])[-10:]
    assert found.accuracy == pytest.approx(right.float().mean().item())


@pytest.mark.parametrize(
    ("problem", "names"), [("adding", ["loss"]), ("temporal-order", ["loss", "accuracy"])]
)
def test_an_evaluation_has_the_numbers_that_the_problem_has(problem, names):
    model = LongRange(**{**TINY, "problem": problem}).fit()
    found = model.evaluate()
    assert list(found) == names
    assert found == model.validation
    (section,) = found.sections
    assert ("test accuracy" in section.content) == (names != ["loss"])
    assert section.content["test loss"].startswith(f"{found['loss']:.3g} (")


def test_a_model_that_knows_nothing_does_as_well_as_chance():
    settings = config(problem="copy", test_sequences=500)
    targets = torch.cat([batch.targets for batch in held_out(settings, "test")], 1)
    outputs = torch.full((*targets.shape, 10), -30.0)
    outputs[:-10, :, 0] = 30
    outputs[-10:, :, 1:9] = 0
    assert loss_of(outputs, targets).item() == pytest.approx(
        settings.definition.chance(12), rel=1e-4
    )


def test_orthogonal_matrices_stay_so():
    settings = config(cell="rnn", orthogonal=True, learning_rate=0.1)
    net, windows = LongRangeNet(settings), training_windows(settings)
    before = net.recurrent.U_l0.detach().clone()
    optimizer = torch.optim.SGD(net.parameters(), 1.0)
    for index in range(3):
        batch = windows.window(0, index)
        loss_of(net(batch.inputs), batch.targets).backward()
        optimizer.step()
    after = net.recurrent.U_l0
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after @ after.T, torch.eye(4), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("cell", "message"), [("gru", "U_l0 is 12 x 4"), ("mingru", "no recurr")])
def test_what_cannot_stay_orthogonal(cell, message):
    with pytest.raises(ConfigError, match=message):
        LongRangeNet(config(cell=cell, orthogonal=True))


def test_weights_start_as_asked():
    net = LongRangeNet(config(cell="lstm", init="orthogonal, forget-bias:3"))
    gates = net.recurrent.U_l0.view(4, 4, 4)
    torch.testing.assert_close(gates @ gates.mT, torch.eye(4).expand(4, 4, 4), atol=1e-5, rtol=0)
    assert net.recurrent.b_l0[4:8].tolist() == [3.0] * 4
    chrono = LongRangeNet(config(cell="lstm", init="chrono")).recurrent.b_l0[4:8]
    assert (chrono >= 0).all()
    assert (chrono <= math.log(11)).all()


def test_a_run_holds_what_a_run_holds_and_loads(tmp_path):
    model = LongRange(**TINY)
    (result,) = model.fit(out=tmp_path / "run").results
    assert (result.steps, result.stopped) == (4, "steps")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"config.json", "model.safetensors", "metrics.jsonl", "report.html"} <= names
    card = (tmp_path / "run" / "README.md").read_text()
    assert "# adding, T = 12: gru" in card
    assert "- Cell: gru\n- Layers: 1 of 4 hidden units\n" in card
    assert f"**{model.evaluate()['loss']:.4g}** test loss" in card
    assert "| chance | 0.1667 |" in card
    assert LongRange.load(tmp_path / "run").evaluate() == model.evaluate()
    assert isinstance(recurra.load(tmp_path / "run"), LongRange)


@pytest.mark.parametrize(
    ("settings", "numbers", "names", "said"),
    [
        (
            {"length": 600},
            {"loss": 0.04},
            ["GRU", "TCN", "this run", "LSTM", "chance", "RNN"],
            "off by 0.2 ",
        ),
        ({"problem": "copy"}, {"loss": 0.1, "accuracy": 0.925}, ["this run", "chance"], "92.5 %"),
        (
            {"problem": "temporal-order"},
            {"loss": 1, "accuracy": 0.2},
            ["chance", "this run"],
            "20.0 %",
        ),
    ],
)
def test_the_headline_ranks_the_run_among_chance_and_the_literature(settings, numbers, names, said):
    headline = LongRangeTask(config(**settings)).headline(None, Evaluation(numbers))
    assert [mark.name for mark in headline.ranked()] == names
    assert said in headline.markdown()


def test_training_learns(tmp_path):
    settings = {**TINY, "problem": "temporal-order", "length": 10, "hidden": 16, "batch_size": 16}
    model = LongRange(**settings | {"max_steps": 150, "learning_rate": 0.02, "validate_every": 50})
    model.fit(out=tmp_path / "run")
    assert model.evaluate()["accuracy"] > 0.5


def test_a_resumed_run_has_the_same_weights(tmp_path):
    whole, cut = LongRange(**TINY), LongRange(**TINY | {"checkpoint_every": 2})
    whole.fit(out=tmp_path / "whole")

    class Stop(Exception):
        pass

    class AtThree:
        start = message = stop = lambda self, *words: None

        def update(self, step, *words, **more):
            if step == 3:
                raise Stop

    with pytest.raises(Stop):
        cut.fit(out=tmp_path / "cut", progress=AtThree())
    cut.fit(out=tmp_path / "cut", resume=True)
    assert whole.evaluate() == cut.evaluate()


def test_a_run_is_resumed_with_its_own_settings_alone(tmp_path):
    LongRange(**TINY).fit(out=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"hidden = 5 was given.* started with hidden = 4"):
        LongRange(**TINY | {"hidden": 5}).fit(out=tmp_path / "run", resume=True)
    with pytest.raises(ConfigError, match="length = 13 was given"):
        LongRange(length=13).fit(out=tmp_path / "run", resume=True)


def test_a_long_range_run_is_inspected(tmp_path):
    for problem in ("adding", "copy"):
        model = LongRange(**{**TINY, "problem": problem}).fit(out=tmp_path / problem)
        found, page = model.inspect(rows=2)
        assert [layer.name for layer in found.layers] == ["recurrent"]
        assert page == tmp_path / problem / "report.html"


def test_data_are_drawn_and_never_read(tmp_path):
    model = LongRange(**TINY)
    for use in (model.fit, model.fit().evaluate, model.inspect):
        with pytest.raises(DataError, match=r"'a\.csv' was given, and the sequences .* are drawn"):
            use("a.csv")
    with pytest.raises(ConfigError, match=r"data = \('a\.csv',\): the sequences .* are drawn"):
        LongRange(data=["a.csv"])


def test_no_model_yet_and_a_run_of_another_task(tmp_path):
    with pytest.raises(RunError, match="not trained yet"):
        LongRange().evaluate()
    Run.create(tmp_path / "run", {"task": "zero"})
    with pytest.raises(RunError, match="is a run of task 'zero'"):
        LongRange.load(tmp_path / "run")


@pytest.mark.data
def test_the_real_digits_train(real_data, tmp_path):
    model = LongRange(problem="mnist-permuted", hidden=2, max_steps=1, batch_size=2)
    assert model.fit(out=tmp_path / "run").results[0].steps == 1
