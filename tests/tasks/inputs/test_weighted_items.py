"""Weights and groups of items: in the loss, in figures, in what is held out."""

import numpy as np
import pytest
import torch
from classify_helpers import examples, small
from torch.nn import functional

from recurra import Classifier, Regressor
from recurra.errors import ConfigError, DataError, RunError
from recurra.tasks.classify.model import class_loss
from recurra.tasks.inputs.encoder import SequenceEncoder
from recurra.tasks.inputs.item_batches import TargetBatch
from recurra.tasks.inputs.weighted_items import weights_of
from recurra.tasks.regress.target_errors import target_loss


class Answers(SequenceEncoder):
    """A network that answers what its features are."""

    def __init__(self):
        torch.nn.Module.__init__(self)

    def answered(self, features, lengths):
        return features, torch.zeros(())


def batches(targets, times):
    """A batch with weights, and one with repeated items instead."""
    answers = torch.randn(len(targets), targets.shape[1] if targets.dim() == 2 else 3)
    counts = torch.tensor(times)
    weights = counts / counts.float().mean()
    lengths = torch.ones(len(targets))
    repeated = [each.repeat_interleave(counts, 0) for each in (answers, lengths, targets)]
    return TargetBatch(answers, lengths, targets, weights), TargetBatch(*repeated)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("targets", [[0, 2, 1, 1], [[0, 1, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0]]])
def test_a_weight_in_the_loss_is_a_repeated_item(targets, smoothing):
    kind = torch.tensor(targets)
    kind = kind.float() if kind.dim() == 2 else kind
    weighted, repeated = batches(kind, [3, 0, 1, 2])
    loss, same = (class_loss(Answers(), each, None, smoothing) for each in (weighted, repeated))
    assert float(loss) == pytest.approx(float(same), rel=1e-5)
    classes = torch.tensor([0.5, 2.0, 1.0])
    if kind.dim() == 1:  # torch divides by the classes' weights
        own = class_loss(Answers(), repeated, classes, smoothing)
        oracle = functional.cross_entropy(
            repeated.features, repeated.targets, classes, label_smoothing=smoothing
        )
        assert float(own) == pytest.approx(float(oracle), rel=1e-5)


@pytest.mark.parametrize("error", ["squared", "absolute"])
def test_a_weight_in_a_regressions_loss_is_a_repeated_item(error):
    weighted, repeated = batches(torch.randn(4, 2), [3, 0, 1, 2])
    losses = [float(target_loss(Answers(), each, error)[0]) for each in (weighted, repeated)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_items_of_weight_zero_teach_nothing():
    contents, labels = examples("series", 60)
    wrong = ["slow" if label == "fast" else "fast" for label in labels]
    weights = [1.0] * 60 + [0.0] * 60
    model = small("series").fit([*contents, *contents], [*labels, *wrong], weights)
    assert model.score(contents, labels) > 0.8
    assert model.validation["accuracy"] > 0.8  # of items whose labels are all wrong, half
    backwards = small("series", max_steps=40)
    backwards.fit([*contents, *contents], [*labels, *wrong], sample_weight=weights[::-1])
    slow_or_fast = [label in ("slow", "fast") for label in labels]
    assert np.mean((backwards.predict(contents) == labels)[slow_or_fast]) < 0.2


def test_scores_weigh_their_items():
    metrics = pytest.importorskip("sklearn.metrics")
    contents, labels = examples("series", 40)
    weights = np.random.default_rng(0).uniform(0, 3, 40)
    model = small("series", max_steps=8).fit(contents, labels)
    score = metrics.accuracy_score(labels, model.predict(contents), sample_weight=weights)
    assert model.score(contents, labels, weights) == pytest.approx(score)
    assert model.score(contents, labels, weights) != model.score(contents, labels)
    numbers = np.arange(40) / 40
    one = Regressor(hidden=4, channels=2, max_steps=4, level=0.5).fit(contents, numbers, weights)
    score = metrics.r2_score(numbers, one.predict(contents), sample_weight=weights)
    assert one.score(contents, numbers, weights) == pytest.approx(score, rel=1e-5)


def table(folder, cells):
    rows = "".join(f"{'fine' if n % 2 else 'sad'} film,{n % 2},{w}\n" for n, w in enumerate(cells))
    (folder / "texts.csv").write_text(f"text,label,often\n{rows}")
    return folder / "texts.csv"


def words(**more):
    return Classifier(hidden=4, embedding=4, max_steps=2, watch_every=0, **more)


def test_a_column_of_weights_is_what_is_given_beside_data_in_memory(tmp_path):
    cells = [round(float(w), 3) for w in np.random.default_rng(0).uniform(0, 2, 30)]
    file = table(tmp_path, cells)
    texts = [f"{'fine' if n % 2 else 'sad'} film" for n in range(30)]
    by_column, given = words(weight_column="often"), words()
    data = by_column._task.read([file])
    pairs = given._task.read(
        list(zip(texts, [str(n % 2) for n in range(30)], strict=True)), sample_weight=cells
    )
    for one, other in ((data.train, pairs.train), (data.held_out, pairs.held_out)):
        assert len(one) + len(other) > 2
        each = np.array([float(item.columns["often"]) for item in one.items])
        np.testing.assert_allclose(weights_of(by_column.config, one.items), each / each.mean())
        numbers = [int(item.origin.removeprefix("item ")) for item in other.items]
        each = np.array([cells[n] for n in numbers])
        np.testing.assert_allclose(weights_of(given.config, other.items), each / each.mean())
    model = by_column.fit(file, out=tmp_path / "run")
    assert [source["name"] for source in model.run.config["sources"]][-1] == "weights"
    loaded = Classifier.load(tmp_path / "run")
    assert loaded.evaluate() == model.evaluate()


@pytest.mark.parametrize(
    ("cells", "settings", "part"),
    [
        ([1, -2, 1], {"weight_column": "often"}, "line 3: has the weight '-2'"),
        ([1, "often", 1], {"weight_column": "often"}, "has the weight 'often'"),
        ([1, "nan", 1], {"weight_column": "often"}, "has the weight"),
        ([0, 0, 0], {"weight_column": "often"}, "weights to train on are zero"),
        ([1, 1, 1], {"weight_column": "seldom"}, "no such column; theirs are often"),
    ],
)
def test_weights_that_cannot_be_are_named(tmp_path, cells, settings, part):
    with pytest.raises(DataError, match=part):
        words(valid_fraction=0, **settings).fit(table(tmp_path, cells * 2))


def test_weights_and_groups_are_as_many_as_sequences(tmp_path):
    contents, labels = examples("series", 12)
    for name in ("sample_weight", "groups"):
        with pytest.raises(DataError, match=rf"{name} has the shape \(11,\), and there are 12"):
            small("series").fit(contents, labels, **{name: [1] * 11})
    with pytest.raises(DataError, match="weight_column, valid_by"):
        words().fit(table(tmp_path, [1] * 8), sample_weight=[1] * 8)
    with pytest.raises(ConfigError, match="give one of the two"):
        small("series", weight_column="w").fit(contents, labels, [1] * 12)


def test_a_run_is_resumed_with_the_same_weights(tmp_path):
    contents, labels = examples("series", 30)
    weights = np.linspace(0.5, 2, 30)
    small("series", max_steps=2).fit(contents, labels, weights, out=tmp_path / "run")
    again = Classifier.resuming(tmp_path / "run", {"max_steps": 4})
    with pytest.raises(RunError, match="differs"):
        again.fit(contents, labels, weights[::-1], out=tmp_path / "run", resume=True)
    again.fit(contents, labels, weights, out=tmp_path / "run", resume=True)
    assert again.results[0].steps == 4


def test_what_is_held_out_is_of_other_groups():
    contents, labels = examples("series", 60)
    groups = np.arange(60) // 3 % 10
    model = small("series", max_steps=2).fit(contents, labels, groups=groups)
    found = [
        {groups[int(item.origin.removeprefix("sequence "))] for item in part.items}
        for part in (model._data.train, model._data.held_out)
    ]
    assert found[1]
    assert not found[0] & found[1]
    assert len(found[0] | found[1]) == 10


def test_folds_of_groups_are_scikit_learns():
    selection = pytest.importorskip("sklearn.model_selection")
    contents, labels = examples("series", 45)
    groups = np.arange(45) // 3 % 5
    folds = selection.GroupKFold(n_splits=2)
    scores = selection.cross_val_score(
        small("series", max_steps=2), contents, labels, groups=groups, cv=folds
    )
    assert len(scores) == 2
    assert np.isfinite(scores).all()
