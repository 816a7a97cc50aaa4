"""Estimators of every task: signatures, parameters, results, interruptions, further stages."""

import copy
import dataclasses
import inspect
import json
import signal
import sys
import warnings

import pytest
import torch
from parity import Parity

import recurra
from recurra.errors import ConfigError, RunError, TrainingError
from recurra.tasks.estimator import estimator_for
from recurra.tasks.long_range import LongRange
from recurra.tasks.registry import TASKS, estimator_of
from recurra.training import Run, TrainingResult

pytestmark = pytest.mark.usefixtures("undrawn")

ESTIMATORS = [estimator_of(name) for name in TASKS] + [estimator_for(Parity)]


class Signals:
    """Progress that sends a signal to this process at a step, counted over all trainings."""

    def __init__(self, at, number=signal.SIGTERM):
        self.left, self.number = at, number

    def start(self, total_steps, step):
        pass

    message = stop = lambda self, *words: None

    def update(self, *numbers, **more):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(self.number)


def parity(task=Parity, **settings):
    return estimator_for(task)(**{"epochs": 2, "sequences": 32, "hidden": 4, **settings})


def weights(path):
    return (path / "model.safetensors").read_bytes()


def nothing_left(path, **settings):
    model = parity(**settings)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.fit(out=path, resume=True)
    return [str(w.message) for w in found if "Nothing was left to train" in str(w.message)]


def test_a_run_that_has_ended_has_nothing_left_and_says_what_to_raise(tmp_path):
    parity().fit(out=tmp_path)
    assert "raise epochs." in nothing_left(tmp_path)[0]
    assert not nothing_left(tmp_path, epochs=3)
    assert "raise max_steps." in nothing_left(tmp_path, epochs=9, max_steps=2)[0]


def test_an_ensemble_has_something_left_until_its_last_member_has_ended(tmp_path):
    stopped = parity(ensemble=2).fit(out=tmp_path, progress=Signals(5))
    assert [result.stopped for result in stopped.results] == ["finished", "interrupted"]
    assert not nothing_left(tmp_path, ensemble=2)
    assert len(nothing_left(tmp_path, ensemble=2)) == 1


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_signature_lists_every_setting_with_its_type_and_default(estimator):
    config = estimator.task.configuration
    parameters = inspect.signature(estimator).parameters
    assert [*parameters] == [field.name for field in dataclasses.fields(config)]
    for field in dataclasses.fields(config):
        parameter = parameters[field.name]
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.default == field.default
        assert parameter.annotation not in (inspect.Parameter.empty, "")
        assert f"    {field.name}: {field.metadata['help']}." in estimator.__init__.__doc__
    assert parameters["hidden"].annotation is int
    assert parameters["clip_norm"].annotation == float | None


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_unknown_setting_names_the_nearest(estimator):
    with pytest.raises(ConfigError, match="'hiden' is not an option; did you mean 'hidden'"):
        estimator(hiden=3)
    with pytest.raises(TypeError, match="takes settings by name alone; 1 were given"):
        estimator(3)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_parameters_are_all_settings_and_make_the_same_estimator(estimator):
    given = {"horizon": 7} if estimator.task.name() == "forecast" else {}
    given |= {"hidden": 3, "clip_norm": "none"}
    model = estimator(**given)
    parameters = model.get_params()
    assert parameters.keys() == inspect.signature(estimator).parameters.keys()
    assert {name: parameters[name] for name in given} == given
    again = estimator(**parameters)
    assert again.config == model.config
    assert all(again.get_params()[name] is value for name, value in parameters.items())


def test_only_settings_that_differ_from_the_defaults_are_shown():
    model = recurra.LanguageModel(hidden=256, cell="gru", clip_norm="none")
    assert repr(model) == "LanguageModel(cell='gru', clip_norm='none')"
    assert repr(LongRange()) == "LongRange()"


def test_settings_are_changed_all_or_none(tmp_path):
    model = parity().fit(out=tmp_path / "run")
    with pytest.raises(ConfigError, match="hidden = 0"):
        model.set_params(hidden=0, epochs=9)
    assert (model.config.hidden, model.config.epochs) == (4, 2)
    assert model.evaluate()["loss"] > 0
    assert model.set_params(hidden=5) is model
    assert (model.config.hidden, model.results) == (5, ())
    with pytest.raises(RunError, match="not trained yet"):
        model.evaluate()


def test_fit_gives_the_estimator_and_its_results():
    model = parity(ensemble=2)
    assert model.fit() is model
    assert [type(result) for result in model.results] == [TrainingResult] * 2
    assert model.validation == model.evaluate()
    assert model.metric in model.validation


def test_a_training_that_is_refused_leaves_the_model_as_it_was(tmp_path):
    model = parity().fit(out=tmp_path / "run")
    before, config = model.evaluate(), model.config
    with pytest.raises(RunError, match="holds another run"):
        model.fit(torch.ones(5, 40, dtype=torch.long), out=tmp_path / "run")
    with pytest.raises(RunError, match="differs from what"):
        model.fit(torch.ones(5, 40, dtype=torch.long), out=tmp_path / "run", resume=True)
    assert model.evaluate() == model.validation == before
    assert (model.config, len(model.results)) == (config, 1)


def test_a_setting_is_not_given_to_fit():
    with pytest.raises(TypeError, match=r"argument 'epochs'; it is a setting: .*\(epochs=\.\.\.\)"):
        parity().fit(epochs=3)
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'static'$"):
        recurra.LanguageModel().fit(static="b.csv")


def test_an_unknown_option_of_an_evaluation_is_refused():
    with pytest.raises(ConfigError, match="'windows' is not an option; there are none"):
        parity().fit().evaluate(windows=3)


@pytest.mark.parametrize("data", [None, torch.zeros(8, 3, dtype=torch.long)])
def test_without_training_each_method_says_what_to_call(data):
    for method in ("evaluate", "inspect"):
        with pytest.raises(RunError, match=r"call fit, or ParityEstimator\.load"):
            getattr(parity(), method)(data)
    for method in ("session", "facts", "figures"):
        with pytest.raises(RunError, match="not trained yet"):
            getattr(parity(), method)()


def test_a_task_without_streams_says_so():
    with pytest.raises(ConfigError, match="The task parity:Parity has no stream"):
        parity().fit().session()


def test_a_training_that_failed_leaves_no_model(tmp_path):
    model = parity(learning_rate=1e30, clip_norm="none", cell="rnn_relu")
    with pytest.raises(TrainingError, match="the loss is"):
        model.fit(out=tmp_path / "run")
    with pytest.raises(RunError, match="not trained yet"):
        model.evaluate()


def test_progress_is_shown_where_somebody_watches(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    parity().fit(progress=False)
    assert capsys.readouterr().err == ""
    parity().fit()
    assert "bits/s" in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    parity().fit()
    assert capsys.readouterr().err == ""
    parity().fit(progress=True)
    assert "bits/s" in capsys.readouterr().err


def test_the_best_weights_are_those_of_any_number_and_direction(tmp_path):
    for best in ("accuracy:min", "accuracy:max", "loss:min"):
        model = parity(best=best, epochs=6, learning_rate=0.1).fit(out=tmp_path / best)
        lines = Run.open(tmp_path / best).metrics()
        name, _, direction = best.partition(":")
        seen = [line["validation"][name] for line in lines if "validation" in line]
        assert model.metric == name
        assert model.validation[name] == pytest.approx((min if direction == "min" else max)(seen))


def test_an_interrupted_training_says_how_to_resume(tmp_path, ctrl_c):
    model = parity(epochs=4).fit(out=tmp_path / "run", progress=Signals(3))
    assert (model.results[0].stopped, model.results[0].steps) == ("interrupted", 3)
    assert model.validation is None
    with pytest.raises(
        RunError, match=r"interrupted after 3 steps; resume it with fit\(\.\.\., re"
    ):
        model.evaluate()
    assert recurra.load(tmp_path / "run").evaluate()["loss"] > 0  # the best weights so far
    model.fit(out=tmp_path / "run", resume=True)
    parity(epochs=4).fit(out=tmp_path / "whole")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


@pytest.mark.parametrize("at", [1, 3, 5, 7])
def test_an_interrupted_ensemble_is_resumed_to_the_same_bits(tmp_path, ctrl_c, at):
    parity(epochs=1, seed=9).fit(out=tmp_path / "old")
    settings = {"ensemble": 2, "start": str(tmp_path / "old"), "freeze": "recurrent"}
    parity(**settings).fit(out=tmp_path / "whole")
    model = parity(**settings).fit(out=tmp_path / "parts", progress=Signals(at))
    assert model.results[-1].stopped == "interrupted"
    assert len(model.results) == 1 + (at > 4)
    with pytest.raises(RunError, match="not trained to its end: its 2 members are joined there"):
        recurra.load(tmp_path / "parts")
    model.fit(out=tmp_path / "parts", resume=True)
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


class Doubled(Parity):
    """Parity, trained once more at half the rate; the product is the second training's."""

    def complete(self, models, data, retrain):
        final = [copy.deepcopy(model) for model in models]
        config = dataclasses.replace(self.config, max_steps=3, learning_rate=1e-3)
        stage = type(self)(config, self.context)
        retrain("final", final, [stage.member(number) for number in range(len(models))])
        return self.restore(final, {}, {})


@pytest.mark.parametrize("ensemble", [1, 2])
def test_a_further_stage_is_replaced_and_resumed_with_its_run(tmp_path, ctrl_c, ensemble):
    settings = {"ensemble": ensemble, "epochs": 2, "best": "loss:min"}
    parity(Doubled, **settings).fit(out=tmp_path / "whole")
    for at in (3, 4 * ensemble + 2):
        out = tmp_path / "parts"
        model = parity(Doubled, **settings).fit(out=out, overwrite=True, progress=Signals(at))
        assert model.results[-1].stopped == "interrupted"
        model.fit(out=out, resume=True)
        assert weights(out) == weights(tmp_path / "whole")
        assert len(model.results) == ensemble
    before = weights(tmp_path / "parts")
    parity(Doubled, **settings | {"epochs": 4}).fit(out=tmp_path / "longer")
    parity(Doubled, epochs=4).fit(out=tmp_path / "parts", resume=True)
    assert before != weights(tmp_path / "parts") == weights(tmp_path / "longer")


@pytest.mark.parametrize("name", TASKS)
def test_a_run_is_loaded_as_the_estimator_of_its_task(tmp_path, name):
    files = {
        "language": "a.txt",
        "transcribe": "a.jsonl",
        "classify": "a.jsonl",
        "regress": "b.jsonl",
        "tag": "a.tsv",
        "translate": "pairs.tsv",
    }
    data = {"forecast": "a.csv", **files}.get(name)
    strokes = [{"strokes": [[[0, 0], [5, n]]], "text": "ab"[n % 2]} for n in range(20)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, strokes)))
    numbered = [{**each, "text": str(n)} for n, each in enumerate(strokes)]
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, numbered)))
    (tmp_path / "a.txt").write_text("a line of text\n" * 40)
    (tmp_path / "a.tsv").write_text("a\tX\nb\tY\n\n" * 20)
    (tmp_path / "pairs.tsv").write_text("ab\tba\nabb\tbba\n" * 20)
    rows = [f"a,{step},{step % 7}" for step in range(80)]
    (tmp_path / "a.csv").write_text("\n".join(["unique_id,ds,y", *rows]))
    settings = {"hidden": 3, "batch_size": 2, "max_steps": 2}
    settings |= {"horizon": 3, "model": "direct"} if name == "forecast" else {}
    settings |= {"window": 8} if name == "language" else {}
    model = estimator_of(name)(**settings)
    model.fit(None if data is None else tmp_path / data, out=tmp_path / "run")
    again = recurra.load(tmp_path / "run")
    assert type(again) is type(model) is estimator_of(name)
    assert again.evaluate() == model.evaluate()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"task": "waves"},
            "is a run of task 'waves'. There is no task 'waves'; the tasks are cl",
        ),
        (
            {"task": "nowhere:Task"},
            "is a run of task 'nowhere:Task'. .* there is no module 'nowhere'",
        ),
        ({}, "is a run of task None"),
    ],
)
def test_a_run_of_a_task_that_is_not_at_hand(tmp_path, config, message):
    Run.create(tmp_path / "run", config)
    with pytest.raises(RunError, match=message):
        recurra.load(tmp_path / "run")


def test_data_in_memory_are_asked_for_again(tmp_path):
    text = "in memory\n" * 40
    settings = {"hidden": 3, "batch_size": 2, "window": 8, "max_steps": 2}
    recurra.LanguageModel(**settings).fit(text, out=tmp_path / "run")
    model = recurra.load(tmp_path / "run")
    for use in (model.evaluate, model.inspect):
        with pytest.raises(RunError, match="trained on data in memory, not on a file; give the da"):
            use()
    with pytest.raises(RunError, match="trained on data in memory"):
        recurra.LanguageModel(max_steps=3).fit(out=tmp_path / "run", resume=True)
    with pytest.raises(RunError, match="The data in memory differs from what"):
        recurra.LanguageModel(max_steps=3).fit("x" + text, out=tmp_path / "run", resume=True)
    resumed = recurra.LanguageModel(max_steps=3).fit(text, out=tmp_path / "run", resume=True)
    assert resumed.results[0].steps == 3
    assert resumed.evaluate() == resumed.validation
