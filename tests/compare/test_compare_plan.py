"""What is compared: settings, sizes under a budget, the trainings that follow."""

import pytest
from compare_toys import TINY, tiny

from recurra.compare.comparison import comparison_at, comparison_from, folder_name
from recurra.compare.trials import Contest, nearest_size, plan
from recurra.errors import CellError, ConfigError, DataError, RunError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"problem": "adding problem"},
            "no problem 'adding problem'; did you mean adding",
        ),
        ({"problem": ""}, "No problem given"),
        ({"cells": []}, "No cells to compare; name some"),
        ({"cells": ["gru", "gru"]}, "'gru' is named twice"),
        ({"cells": {"a": 3}}, "a table for each label"),
        ({"cells": {"a:b": {"cell": "gru"}, "a-b": {"cell": "rnn"}}}, "the folder 'a-b'"),
        ({"length": 1}, "rnn: length = 1 is too short for adding, which needs 2"),
        ({"parameters": 100}, "parameters = 100 and hidden = 3; give one of the two"),
        ({"seeds": 0}, "seeds = 0; it must be a whole number at least 1"),
        ({"hiden": 3}, "rnn: 'hiden' is not an option; did you mean 'hidden'"),
        ({"max_steps": 3}, "a comparison sets it by steps"),
        ({"cells": {"gru": {"seed": 3}}}, "among the settings of gru.* sets it by seeds"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ConfigError, match=message):
        comparison_from({**TINY, **settings})


def test_own_settings_go_before_those_for_all():
    cells = {"a": {"cell": "rnn", "learning_rate": 0.5}, "gru": {}}
    comparison = tiny(cells=cells, learning_rate=0.1)
    assert comparison.settings("a") == {**comparison.settings("gru"), **cells["a"]}
    assert comparison.settings("gru")["learning_rate"] == 0.1


def test_only_picks_cells_of_the_table_and_others():
    comparison = tiny(cells={"a": {"cell": "rnn"}, "b": {"cell": "gru"}}, only=["a", "lstm"])
    assert comparison.cells == {"a": {"cell": "rnn"}, "lstm": {}}


@pytest.mark.parametrize("wanted", [3, 17, 18, 19, 50, 1000, 12345])
def test_the_nearest_size_is_the_nearest_of_all(wanted):
    def count(size):
        return 3 * size * size

    found = nearest_size(count, wanted)
    assert found == min(((s, count(s)) for s in range(1, 100)), key=lambda x: abs(x[1] - wanted))


@pytest.mark.parametrize("wanted", [4, 9, 13, 14, 30, 100])
def test_sizes_that_cannot_be_are_passed_over(wanted):
    def count(size):
        if size % 4:
            raise CellError("four")
        return size

    sizes = range(4, 200, 4)
    assert nearest_size(count, wanted)[0] == min(sizes, key=lambda s: (abs(s - wanted), s))


def test_without_a_larger_size_the_reason_is_given():
    def count(size):
        if size != 2:
            raise CellError("it takes 2 inputs.")
        return 10

    assert nearest_size(count, 10) == (2, 10)
    with pytest.raises(ConfigError, match=r"no hidden size from 4 to 67 .*: it takes 2 inputs\.$"):
        nearest_size(count, 11)


@pytest.mark.parametrize("cell", ["rglru", "sru"])
@pytest.mark.parametrize("size", [{"hidden": 32}, {"parameters": 3000}])
def test_a_cell_whose_size_its_input_decides_says_so(cell, size):
    part = rf"{cell}: .*takes as many inputs as .* it has 2 and .*; give hidden = 2, or"
    with pytest.raises((CellError, ConfigError), match=part):
        plan(comparison_from({**{k: v for k, v in TINY.items() if k != "hidden"}, **size,
                              "cells": [cell]}))  # fmt: skip


def test_a_cell_too_large_for_the_memory_is_refused_unbuilt():
    with pytest.raises(ConfigError, match=r"rnn: hidden = 90000000 .* there are .* GiB"):
        plan(tiny(cells=["rnn"], hidden=90_000_000))


def by_parameters(parameters, **more):
    settings = {name: value for name, value in TINY.items() if name != "hidden"}
    return comparison_from({**settings, "parameters": parameters, **more})


def test_fewer_parameters_than_the_smallest_has():
    with pytest.raises(ConfigError, match=r"gru: parameters = 5; the smallest model has \d+"):
        plan(by_parameters(5, cells=["gru"]))


def test_models_have_about_as_many_parameters():
    for entry in plan(by_parameters(2000, cells=["rnn", "lstm", "gru"])):
        assert abs(entry.parameters - 2000) < 100
        contest, settings = Contest("long-range"), entry.trials[0].settings
        assert settings["hidden"] == entry.hidden
        assert contest.count(settings) == entry.parameters


def test_a_trial_for_each_seed_under_the_budget():
    entries = plan(tiny(minutes=0.5))
    assert [t.name for e in entries for t in e.trials] == ["rnn-0", "rnn-1", "gru-0", "gru-1"]
    settings = entries[0].trials[1].settings
    assert (settings["seed"], settings["max_steps"], settings["max_minutes"]) == (1, 2, 0.5)


def test_a_trial_is_known_by_everything_that_decides_its_result():
    keys = [plan(tiny(**how))[0].trials[0].key() for how in ({}, {}, {"length": 9}, {"steps": 3})]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"cells": ["gruu"]}, ConfigError, "gruu: There is no cell 'gruu'; did you mean gru"),
        ({"cells": ["rnn"], "init": "chrono"}, ConfigError, "rnn: chrono_"),
        ({"cells": ["gru"], "orthogonal": True}, ConfigError, "gru: orthogonal = true"),
    ],
)
def test_what_cannot_be_built_is_told_before_anything_is_trained(settings, error, message):
    with pytest.raises(error, match=message):
        plan(tiny(**settings))


def test_a_language_is_compared_on_its_files(tmp_path):
    (tmp_path / "a.txt").write_text("to be or not to be, that is the question\n" * 20)
    settings = {"problem": "language", "data": [str(tmp_path / "a.txt")], "window": 4}
    comparison = comparison_from({**settings, "cells": ["rnn", "gru"], "parameters": 3000})
    entries = plan(comparison)
    assert [abs(entry.parameters - 3000) < 200 for entry in entries] == [True, True]
    facts = Contest("language").facts(entries[0].trials[0].settings)
    assert facts.quality == "validation nats"
    assert 2 < facts.chance < 4


def test_a_missing_text_is_an_error():
    comparison = comparison_from({"problem": "language", "data": ["no.txt"], "cells": ["rnn"]})
    with pytest.raises(DataError, match=r"rnn: no\.txt: no such file"):
        plan(comparison)


@pytest.mark.parametrize("label", ["gru", "my.cells:Own", "../up", ".hidden"])
def test_a_label_is_no_path(label):
    name = folder_name(label)
    assert not set(name) & set("/\\:")
    assert not name.startswith(".")


def test_there_is_no_comparison_in_an_empty_folder(tmp_path):
    with pytest.raises(RunError, match=r"holds no comparison, or comparison\.json is damaged"):
        comparison_at(tmp_path)
