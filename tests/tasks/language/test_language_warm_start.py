"""Models that start from another run: a vocabulary that grows, parts that stay, and mistakes."""

import pytest
import torch
from click.testing import CliRunner

import recurra
from recurra.cli import main
from recurra.errors import ConfigError, RunError
from recurra.tasks.language import LanguageModel
from recurra.training import Run

pytestmark = pytest.mark.usefixtures("undrawn")

OLD = "the cat sat on the mat\n" * 30
NEW = "une souris a mangé le chat! the cat\n" * 30
TINY = {"hidden": 6, "embedding": 4, "batch_size": 2, "window": 8, "max_steps": 2, "dropout": 0.1}


def tiny(**settings):
    return LanguageModel(**{**TINY, **settings})


@pytest.fixture(scope="module", params=["char", "word"])
def old(request, tmp_path_factory):
    """A run on the old text."""
    out = tmp_path_factory.mktemp(request.param) / "old"
    return tiny(level=request.param, learning_rate=0.1).fit(OLD, out=out)


def weights(model):
    return Run.open(model.run.path).load_model()


def test_a_vocabulary_grows_at_its_end_and_old_tokens_keep_their_rows(old, tmp_path):
    frozen = {"freeze": "embedding, head", "seed": 4}
    level = old.config.level
    model = tiny(level=level, start=str(old.run.path), **frozen).fit(NEW, out=tmp_path / "new")
    before, after = old._task.vocabulary, recurra.load(tmp_path / "new")._task.vocabulary
    size = len(before)
    assert after.tokens()[:size] == before.tokens()
    assert set("é!" if level == "char" else ["souris", "chat!"]) <= set(after.tokens()[size:])
    assert torch.equal(before.encode(OLD), after.encode(OLD))
    first, second = weights(old), weights(model)
    for name in ("embedding.weight", "head.weight", "head.bias"):
        assert len(second[name]) == len(after) > size
        assert torch.equal(second[name][:size], first[name])
        # The new rows are those that the seed draws.
        assert second[name][size:].abs().max() <= 0.1
    assert not torch.equal(second["recurrent.U_l0"], first["recurrent.U_l0"])
    start = Run.open(tmp_path / "new").config["start"]
    assert start.startswith(f"Weights from {old.run.path}: copied recurrent.W_l0, recurrent.U_l0, ")
    assert start.endswith("grown embedding.weight, head.weight, head.bias.")
    assert start in (tmp_path / "new" / "README.md").read_text()


def test_frozen_parts_stay_and_the_others_are_trained(old, tmp_path):
    model = tiny(level=old.config.level, start=str(old.run.path), freeze="recurrent")
    model.fit(OLD, out=tmp_path / "new")
    first, second = weights(old), weights(model)
    same = {name for name in first if torch.equal(first[name], second[name])}
    assert same == {name for name in first if name.startswith("recurrent.")}


def test_tied_weights_are_frozen_under_both_names(tmp_path):
    settings = {"embedding": 6, "tie_embeddings": True}
    old = tiny(**settings).fit(OLD, out=tmp_path / "old")
    start = {"start": str(old.run.path), **settings}
    for part in ("embedding", "head.weight"):
        model = tiny(freeze=part, **start).fit(NEW, out=tmp_path / part)
        assert torch.equal(weights(model)["head.weight"][: len(old._task.vocabulary)],
                           weights(old)["embedding.weight"])  # fmt: skip


def test_every_member_starts_from_the_first_of_the_other_run(tmp_path):
    old = tiny(ensemble=2).fit(OLD, out=tmp_path / "old")
    model = tiny(ensemble=2, start=str(old.run.path), freeze="recurrent").fit(OLD)
    first, second = weights(old), weights(model)
    for name in ("W_l0", "U_l0"):
        for member in (0, 1):
            found = second[f"member{member}.recurrent.{name}"]
            assert torch.equal(found, first[f"member0.recurrent.{name}"])
    assert not torch.equal(second["member0.head.weight"], second["member1.head.weight"])


def test_a_larger_recurrent_layer_has_not_grown_at_its_end(tmp_path):
    old = tiny().fit(OLD, out=tmp_path / "old")
    model = tiny(hidden=9, start=str(old.run.path)).fit(OLD, out=tmp_path / "new")
    start = Run.open(model.run.path).config["start"]
    assert "copied embedding.weight, head.bias; drawn recurrent.W_l0, recurrent.U_l0" in start
    assert "grown" not in start


def test_a_run_is_resumed_without_the_one_it_started_from(old, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").symlink_to(old.run.path)
    settings = {"level": old.config.level, "start": "old", "freeze": "embedding", "max_steps": 4}
    settings |= {"schedule": "constant"}
    tiny(**settings).fit(NEW, out="whole")
    tiny(**settings | {"max_steps": 2}).fit(NEW, out="parts")
    (tmp_path / "old").unlink()
    model = tiny(**settings).fit(NEW, out="parts", resume=True)
    assert model.config.start == str(tmp_path / "old")
    found, expected = (Run.open(name).load_model() for name in ("parts", "whole"))
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_command_line_says_what_was_taken_over(old, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new.txt").write_text(NEW)
    words = ["--hidden", 6, "--embedding", 4, "--batch-size", 2, "--window", 8, "--max-steps", 2]
    words += ["--level", old.config.level, "--from", old.run.path, "--freeze", "recurrent"]
    command = ["train", "language", "new.txt", "--out", "run", *words]
    result = CliRunner().invoke(main, [str(word) for word in command])
    assert result.exit_code == 0, result.output
    assert f"Weights from {old.run.path}: copied recurrent.W_l0" in result.stderr
    config = recurra.load("run").config
    assert (config.start, config.freeze) == (str(old.run.path), "recurrent")


def test_what_does_not_fit(old, tmp_path):
    def start(**settings):
        known = {"level": old.config.level, "start": str(old.run.path)}
        tiny(**{**known, **settings}).fit(OLD, out=tmp_path / "new")

    mistakes = [
        ({"freeze": "encoder"}, ConfigError, "begins with 'encoder'; the model has embedding, hea"),
        ({"freeze": "e,r,h"}, ConfigError, "nothing is left to train; freeze fewer parts"),
        ({"level": "byte"}, ConfigError, "level = 'byte', and the run to start from has level = '"),
        ({"start": str(tmp_path / "none")}, RunError, "none does not exist"),
    ]
    for settings, error, message in mistakes:
        with pytest.raises(error, match=message):
            start(**settings)
        assert not (tmp_path / "new").exists()
    with pytest.raises(ConfigError, match="freeze = 'head' without start: only weights of another"):
        tiny(freeze="head")


def test_a_run_without_a_weight_that_fits(old, tmp_path):
    run = Run.create(tmp_path / "other", {"task": "other"})
    run.save_model({"encoder.weight": torch.zeros(3, 2)})
    with pytest.raises(
        RunError, match=r"No weight of .*: it has encoder\.weight, the model embedd"
    ):
        tiny(start=str(run.path)).fit(OLD, out=tmp_path / "new")


def test_sizes_that_are_not_given_are_those_of_the_run_to_start_from(tmp_path):
    old = tiny(level="word").fit(OLD, out=tmp_path / "old")
    new = LanguageModel(start=str(old.run.path), max_steps=1, window=4, batch_size=2)
    new.fit(OLD, out=tmp_path / "new")
    for name in ("hidden", "layers", "cell", "level", "embedding"):
        assert getattr(new.config, name) == getattr(old.config, name)
    other = LanguageModel(start=str(old.run.path), hidden=7, max_steps=1, window=4, batch_size=2)
    assert other.fit(OLD, out=tmp_path / "other").config.hidden == 7
