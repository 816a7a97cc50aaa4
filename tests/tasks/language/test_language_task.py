"""The task from Python: train, load, resume, and the errors of each."""

import gc
import json
import math
import signal
import sys
from collections import Counter

import pytest
import torch

import recurra
from recurra.errors import ConfigError, DataError, RecurraWarning, RunError
from recurra.tasks.language import LanguageConfig
from recurra.tasks.language.known_figures import published_figures
from recurra.tasks.task import Source
from recurra.training import Run

pytestmark = pytest.mark.usefixtures("undrawn")

CELL = """
from recurra.cells import Cell, {function}

class Mine(Cell):
    '''A cell of one's own.'''
    states = ("h",)

    def step(self, x, h, W, U, b):
        return {function}(W @ x + U @ h + b)
"""


def tiny(**settings):
    fixed = {"hidden": 6, "batch_size": 3, "window": 8, "epochs": 2, "dropout": 0.3}
    return recurra.LanguageModel(**{**fixed, **settings})


def weights(path):
    return (path / "model.safetensors").read_bytes()


def resumed(path, data=None, **settings):
    return recurra.LanguageModel(**settings).fit(data, out=path, resume=True)


def test_the_example_of_five_lines(text_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    import recurra

    model = recurra.LanguageModel(cell="gru", hidden=6, max_steps=2, batch_size=2, window=8)
    model.fit(text_file, out="runs/cats")
    print(model.evaluate(text_file)["bits_per_character"])  # noqa: T201
    print(recurra.LanguageModel.load("runs/cats").generate("the ", length=20, seed=1))  # noqa: T201


def test_fit_gives_the_estimator_with_its_results(text_file, tmp_path):
    model = tiny(max_steps=3)
    assert model.fit(text_file, out=tmp_path / "run") is model
    (result,) = model.results
    assert isinstance(result, recurra.training.TrainingResult)
    assert (result.steps, result.stopped) == (3, "steps")
    assert model.run.path == tmp_path / "run"
    assert model.validation["characters"] > 0


def test_without_out_the_run_lasts_as_long_as_the_model(text_file):
    model = tiny(max_steps=2).fit(text_file)
    path = model.run.path
    assert len(model.generate(length=5)) == 5
    assert model.evaluate()["tokens"] > 0
    assert path.exists()
    del model
    gc.collect()
    assert not path.exists()


def test_a_loaded_model_is_the_trained_one(text_file, tmp_path):
    model = tiny()
    model.fit(text_file, out=tmp_path / "run")
    assert recurra.load(tmp_path / "run").validation is None
    again = recurra.LanguageModel.load(tmp_path / "run")
    assert again.evaluate() == model.validation
    assert again.generate(length=40, seed=1) == model.generate(length=40, seed=1)


def test_training_helps(text_file, tmp_path):
    model = tiny(hidden=16, epochs=6, learning_rate=0.02, dropout=0.0)
    model.fit(text_file, out=tmp_path / "run")
    assert model.validation["nats"] < 2.0


def test_the_best_weights_are_those_of_the_best_validation(text_file, tmp_path):
    model = tiny(epochs=3)
    (result,) = model.fit(text_file, out=tmp_path / "run").results
    assert result.best["loss"] == pytest.approx(model.validation["nats"], rel=1e-5)


def test_resuming_is_as_if_never_stopped(text_file, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    tiny(schedule="constant", validate_every=1000).fit(text_file, out=whole)
    tiny(schedule="constant", validate_every=1000, max_steps=70).fit(text_file, out=parts)
    resumed(parts, max_steps="none")
    assert weights(whole) == weights(parts)
    assert json.loads((parts / "config.json").read_text())["settings"]["max_steps"] is None


@pytest.mark.parametrize("setting", [{"hidden": 7}, {"cell": "gru"}, {"learning_rate": 0.5}])
def test_only_some_settings_may_change_when_resuming(text_file, tmp_path, setting):
    tiny(max_steps=2).fit(text_file, out=tmp_path / "run")
    before = weights(tmp_path / "run")
    (name, value), old = next(iter(setting.items())), {"hidden": "6", "cell": "'lstm'"}
    message = f"{name} = {value!r} was given, and .*run was started with {name} = "
    message += rf"{old.get(name, '0.002')}; .*\(epochs, max_steps, max_minutes, patience, resume_"
    message += rf"schedule alone may differ\): leave {name} out"
    with pytest.raises(ConfigError, match=message):
        resumed(tmp_path / "run", **setting)
    assert weights(tmp_path / "run") == before


def test_settings_given_as_they_were_may_be_given_again(text_file, tmp_path):
    tiny(max_steps=2).fit(text_file, out=tmp_path / "run")
    model = tiny(max_steps=3, patience=4, max_minutes=9).fit(out=tmp_path / "run", resume=True)
    assert model.results[0].steps == 3
    kept = recurra.load(tmp_path / "run").config
    assert (kept.patience, kept.max_minutes, kept.hidden) == (4, 9.0, 6)


def test_a_run_is_not_resumed_with_other_data(text_file, tmp_path):
    copy = tmp_path / "copy.txt"
    copy.write_text(text_file.read_text())
    tiny(max_steps=2).fit(copy, out=tmp_path / "run")
    copy.write_text(text_file.read_text() + "€")
    with pytest.raises(RunError, match=r"copy\.txt differs from what .*run was trained on"):
        resumed(tmp_path / "run")
    with pytest.raises(RunError, match="1 of training files, and 2 were given"):
        resumed(tmp_path / "run", [text_file, text_file])


def test_texts_in_memory_train_as_files_do(text_file, tmp_path):
    text = text_file.read_text()
    tiny(max_steps=2).fit(text_file, out=tmp_path / "file")
    for name, data in {"text": text, "texts": [text[:90], text[90:]]}.items():
        model = tiny(max_steps=2).fit(data, out=tmp_path / name)
        assert weights(tmp_path / name) == weights(tmp_path / "file")
        assert model.config.data == ()
        assert "- Data: training files: in memory (SHA-256" in model.run.path.joinpath(
            "README.md"
        ).read_text()  # fmt: skip


def test_a_text_is_told_from_a_path(text_file, tmp_path):
    for path in ("cats.txt", tmp_path / "my cats"):
        with pytest.raises(DataError, match=r"cats.*: no such file"):
            tiny().fit(path, out=tmp_path / "run")
    with pytest.raises(DataError, match="my cats: no such file"):
        tiny(data=["my cats"]).fit(out=tmp_path / "run")
    with pytest.raises(DataError, match="Files and texts in memory were given together; give one"):
        tiny().fit([text_file, "cats\n"], out=tmp_path / "run")
    spaced = tmp_path / "my cats.txt"
    spaced.write_text(text_file.read_text())
    model = tiny(max_steps=2).fit(str(spaced), out=tmp_path / "run")
    assert model.config.data == (str(spaced),)
    assert model.evaluate("the 3 cats sat on")["characters"] in (17, 18)


@pytest.mark.parametrize("level", ["char", "word"])
def test_an_ensemble_predicts_the_mean_of_its_members_probabilities(text_file, tmp_path, level):
    settings = {"level": level, "ensemble": 2, "max_steps": 20, "learning_rate": 0.05}
    model = tiny(**settings).fit(text_file, out=tmp_path / "run")
    ids = model._task.vocabulary.encode(text_file.read_text()[-200:])
    first, second = (member.eval() for member in model._product.models)
    with torch.no_grad():
        each = [net(ids[:-1].view(-1, 1))[0][:, 0].softmax(-1) for net in (first, second)]
        assert not torch.allclose(*each)
    mean = (each[0] + each[1]) / 2
    expected = -mean.gather(1, ids[1:].unsqueeze(1)).log().mean().item()
    again = recurra.load(tmp_path / "run")
    for made in (model, again):
        found = made.evaluate(text_file.read_text()[-200:])
        assert found["nats"] == pytest.approx(expected, rel=1e-5)
        assert not any(module.training for module in made._product.modules())
    assert again.generate("the ", length=30, seed=2) == model.generate("the ", length=30, seed=2)
    assert again.evaluate() == model.validation
    table = [
        line for line in (tmp_path / "run/README.md").read_text().splitlines() if "| 20 |" in line
    ]
    assert [line[:5] for line in table] == ["| 0 |", "| 1 |"]


def test_members_are_models_with_seeds_of_their_own(text_file, tmp_path):
    tiny(ensemble=2, seed=5, max_steps=3).fit(text_file, out=tmp_path / "two")
    tiny(seed=6, max_steps=3).fit(text_file, out=tmp_path / "one")
    assert weights(tmp_path / "two" / "members" / "1") == weights(tmp_path / "one")


def test_an_interrupted_training_can_be_loaded_and_resumed(text_file, tmp_path, ctrl_c):
    class Stop:
        start = message = stop = lambda self, *words: None

        def update(self, step, *words, **more):
            if step == 40:
                signal.raise_signal(signal.SIGINT)

    settings = {"validate_every": 10, "schedule": "constant", "max_steps": 60}
    model = tiny(**settings).fit(text_file, out=tmp_path / "run", progress=Stop())
    with pytest.raises(
        RunError, match=r"interrupted after 40 steps; resume it with fit\(\.\.\., res"
    ):
        model.generate(length=3)
    best = model.results[0].best["loss"]
    loaded = recurra.load(tmp_path / "run")
    assert loaded.evaluate()["nats"] == pytest.approx(best, rel=1e-5)
    assert len(loaded.generate(length=3)) == 3
    model.fit(out=tmp_path / "run", resume=True)
    tiny(**settings).fit(text_file, out=tmp_path / "whole")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_data_may_move(text_file, tmp_path):
    copy = tmp_path / "copy.txt"
    copy.write_text(text_file.read_text())
    tiny(max_steps=2).fit(copy, out=tmp_path / "run")
    moved = copy.rename(tmp_path / "moved.txt")
    with pytest.raises(DataError, match="no such file"):
        recurra.LanguageModel.load(tmp_path / "run").evaluate()
    resumed(tmp_path / "run", moved, max_steps=3)
    assert recurra.LanguageModel.load(tmp_path / "run").config.data == (str(moved),)
    again = moved.rename(tmp_path / "again.txt")
    recurra.LanguageModel(data=[str(again)], max_steps=4).fit(out=tmp_path / "run", resume=True)
    assert recurra.load(tmp_path / "run").evaluate()["tokens"] > 0


def test_a_cell_that_changed_is_an_error_that_names_it(text_file, tmp_path, monkeypatch):
    module = tmp_path / "own_changing.py"
    module.write_text(CELL.format(function="tanh"))
    monkeypatch.syspath_prepend(tmp_path)
    tiny(cell="own_changing:Mine", max_steps=2).fit(text_file, out=tmp_path / "run")
    assert recurra.LanguageModel.load(tmp_path / "run").generate(length=3)
    monkeypatch.delitem(sys.modules, "own_changing")
    module.write_text(CELL.format(function="sigmoid"))
    for begin in (recurra.LanguageModel.load, recurra.load, resumed):
        with pytest.raises(RunError, match="The equations of cell Mine have changed since"):
            begin(tmp_path / "run")


def test_a_validation_file_is_used_as_given(text_file, tmp_path):
    valid = tmp_path / "valid.txt"
    valid.write_text("the 3 cats sat\n")
    model = tiny(valid=str(valid), max_steps=2)
    model.fit(text_file, out=tmp_path / "run")
    assert model.validation["characters"] == 15


def test_unknown_characters_in_the_validation_file_are_counted_and_said(text_file, tmp_path):
    valid = tmp_path / "valid.txt"
    valid.write_text("the čauč\n")
    with pytest.warns(RecurraWarning, match=r"held-out text has 2 characters .*: 3 of its 9 tok"):
        model = tiny(valid=str(valid)).fit(text_file, out=tmp_path / "run")
    assert model.validation["unknown"] == 3
    assert "'č', 'u'" in model.validation.remarks[0]


def test_a_model_of_bytes_takes_any_file(tmp_path):
    (tmp_path / "data").write_bytes(bytes(range(256)) * 9)
    model = tiny(level="byte", valid_fraction=0.0, max_steps=1).fit(tmp_path / "data", out=None)
    assert model.evaluate(tmp_path / "data")["tokens"] == 256 * 9 - 1


@pytest.mark.parametrize("data", [b"some bytes", ["a text\n", 5], 5])
def test_data_that_is_no_text_is_refused(data):
    with pytest.raises(DataError, match=r"type (bytes|int); give texts as str"):
        tiny().fit(data)


@pytest.mark.parametrize("data", ["", [], [""]])
def test_no_data_is_not_the_default_text(data):
    with pytest.raises(DataError, match="data is empty"):
        tiny().fit(data)


def test_without_validation_the_last_weights_count(text_file, tmp_path):
    model = tiny(valid_fraction=0.0, max_steps=2).fit(text_file, out=tmp_path / "run")
    assert model.results[0].best == {}
    assert model.validation is None
    with pytest.raises(DataError, match="name a file"):
        model.evaluate()


def test_a_short_text_is_told_what_is_needed(tmp_path):
    path = tmp_path / "short.txt"
    path.write_text("too short\n" * 3)
    text = "The text has 27 tokens to train on, too few for batch_size = 32 and window = 128: "
    with pytest.warns(RecurraWarning, match=f"{text}batch_size = 1 and window = 26 are used"):
        recurra.LanguageModel(hidden=4, max_steps=2).fit(path, out=tmp_path / "run")
    path.write_text("a")
    with pytest.raises(DataError, match="The text has 1 characters, too few to keep 10%"):
        recurra.LanguageModel().fit(path, out=tmp_path / "run")


def test_another_run_is_left_alone_unless_it_may_be_replaced(text_file, tmp_path):
    out = tmp_path / "run"
    tiny(max_steps=2).fit(text_file, out=out)
    before = weights(out)
    with pytest.raises(RunError, match="holds another run"):
        tiny(max_steps=1).fit(text_file, out=out)
    refused = [
        ("none.txt", {}, DataError),
        (text_file, {"warmup_steps": 1000}, ConfigError),
        (text_file, {"patience": 2, "valid_fraction": 0}, ConfigError),
        (text_file, {"best": "accuracy:max", "valid_fraction": 0}, ConfigError),
    ]
    for files, settings, error in refused:
        with pytest.raises(error):
            tiny(**settings).fit(files, out=out, overwrite=True)
    assert weights(out) == before
    tiny(max_steps=1).fit(text_file, out=out, overwrite=True)
    assert weights(out) != before


@pytest.mark.parametrize(
    ("how", "message"),
    [({"overwrite": True, "out": "run"}, "the run is overwritten"), ({}, "the run is without out")],
)
def test_a_run_is_resumed_where_it_is(text_file, how, message):
    with pytest.raises(ConfigError, match=f"resume = true, and {message}; .* from `out`, as it is"):
        tiny().fit(text_file, resume=True, **how)


def test_a_run_of_another_task_is_named(tmp_path):
    Run.create(tmp_path / "run", {"task": "forecast"})
    for begin in (recurra.LanguageModel.load, resumed):
        with pytest.raises(RunError, match="is a run of task 'forecast', not of 'language'; recur"):
            begin(tmp_path / "run")


def test_an_untrained_model_says_what_to_call():
    with pytest.raises(RunError, match="call fit"):
        tiny().generate()


def test_the_model_card_tells_what_and_how(run, text_file):
    card = (run / "README.md").read_text()
    model = recurra.LanguageModel.load(run)
    for fact in ("- Layers: 1", "- Hidden units: 8", "| 3 |", str(text_file), torch.__version__):
        assert fact in card
    assert f"{model.evaluate()['nats']:.4f}" in card
    page = (run / "report.html").read_text()
    assert page.index("class='headline'") < page.index("<svg") < page.index("<table")


def test_the_headline_has_the_frequencies_of_the_training_text(run):
    model = recurra.LanguageModel.load(run)
    data, vocabulary = model._own_data(), model._task.vocabulary
    train, held_out = (vocabulary.encode(t).tolist() for t in (data.train, data.held_out))
    counts, size = Counter(train), len(vocabulary)
    shares = [(counts[token] + 1) / (len(train) + size) for token in held_out[1:]]
    headline = model._task.headline(data, model.evaluate())
    marks = {mark.name: mark.value for mark in headline.others}
    expected = -sum(map(math.log, shares)) / len(shares)
    (frequencies,) = (value for name, value in marks.items() if name.endswith(" frequencies"))
    assert frequencies == pytest.approx(expected)
    assert marks["a uniform guess"] == pytest.approx(math.log(size))
    assert headline.own.value == model.evaluate()["nats"]


@pytest.mark.parametrize(
    ("settings", "count"),
    [({}, 1), ({"valid_fraction": 0.2}, 0), ({"level": "byte"}, 0), ({"valid": "v.txt"}, 0)],
)
def test_published_figures_are_of_the_same_held_out_text(settings, count):
    files = [("training files", "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed")]
    files += [("validation files", "0" * 64)] if "valid" in settings else []
    sources = [Source(name, None, digest) for name, digest in files]
    found = published_figures(LanguageConfig(**{"valid_fraction": 0.1, **settings}), sources)
    assert [figure.value for figure in found] == [1.4697] * count


def test_inside_bptt_the_clip_reaches_the_layer(text_file, tmp_path):
    model = tiny(clip_bptt=0.01, max_steps=2)
    model.fit(text_file, out=tmp_path / "run")
    assert model._product.recurrent.bptt_clip == 0.01


def test_a_loaded_model_trains_again_as_it_was_set(text_file, tmp_path):
    tiny(max_steps=2).fit(text_file, out=tmp_path / "run")
    model = recurra.LanguageModel.load(tmp_path / "run")
    model.fit(out=tmp_path / "again")
    assert weights(tmp_path / "again") == weights(tmp_path / "run")


REMEDIES = {
    "layers": 2,
    "input_dropout": 0.1,
    "state_dropout": 0.1,
    "output_dropout": 0.1,
    "recurrent_dropout": 0.1,
    "weight_drop": 0.2,
    "zoneout": 0.1,
    "activation_penalty": 2.0,
    "temporal_activation_penalty": 1.0,
    "learn_initial_state": True,
    "init": "orthogonal, forget-bias:1",
}


def test_a_run_with_every_remedy_is_saved_and_loaded(text_file, tmp_path):
    model = tiny(**REMEDIES)
    model.fit(text_file, out=tmp_path / "run")
    again = recurra.LanguageModel.load(tmp_path / "run")
    assert again.config == model.config
    assert again.evaluate() == model.validation
    assert again._product.recurrent.initial_h_l1.abs().sum() > 0


def test_a_run_with_remedies_is_resumed_as_if_it_had_never_stopped(text_file, tmp_path):
    settings = {**REMEDIES, "schedule": "constant", "validate_every": 1000, "epochs": 1}
    tiny(**settings).fit(text_file, out=tmp_path / "whole")
    tiny(**settings, max_steps=5).fit(text_file, out=tmp_path / "parts")
    resumed(tmp_path / "parts", max_steps="none")
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


def test_a_run_logs_the_loss_without_penalties(text_file, tmp_path):
    losses = []
    for name, weight in (("without", 0.0), ("with", 50.0)):
        model = tiny(activation_penalty=weight, max_steps=1, log_every=1, dropout=0.0)
        model.fit(text_file, out=tmp_path / name)
        losses.append(Run.open(tmp_path / name).metrics()[0]["loss"])
    assert losses[0] == losses[1]
    assert weights(tmp_path / "without") != weights(tmp_path / "with")
