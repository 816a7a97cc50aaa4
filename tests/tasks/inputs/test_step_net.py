"""Answers to every step: rows of a batch by themselves, targets beside their steps."""

import numpy as np
import pytest
import torch

from recurra.config.sequence_config import SequenceConfig
from recurra.data.sequences.series import Series
from recurra.data.transcripts.item import Item
from recurra.errors import ConfigError
from recurra.nn.frontends import Block, FilteredFrontEnd, FrontEndStream, SequenceFrontEnd
from recurra.tasks.inputs.front_end import front_end
from recurra.tasks.inputs.item_batches import StepBatches, TargetBatch
from recurra.tasks.inputs.series_input import SeriesInput
from recurra.tasks.inputs.step_net import StepNet
from recurra.tasks.regress.least_squares import least_squares_filter

SIZES = {"input": "series", "hidden": 6, "channels": 4, "dropout": 0.0}


def ramps(*lengths):
    """Series whose label at each step is ten times its value."""
    return [
        Series.of(np.arange(n) + 100.0 * n, labels=[str(10 * (t + 100.0 * n)) for t in range(n)])
        for n in lengths
    ]


def input_of(contents, **settings):
    config = SequenceConfig(**{**SIZES, **settings})
    items = [Item(f"s{n}", "series", None, data=each) for n, each in enumerate(contents)]
    return config, SeriesInput.of(config, items).fitted(contents)


@pytest.mark.parametrize("subsampling", [0, 2, 4])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_every_step_has_its_answer_whatever_stands_beside_it(subsampling, bidirectional):
    contents = ramps(9, 30, 17)
    settings = {"subsampling": subsampling, "bidirectional": bidirectional}
    config, how = input_of(contents, **settings)
    net = StepNet(config, front_end(config, how, of_steps=True), 2).eval()
    features = [how.features(each) for each in contents]
    batch = TargetBatch.of_steps(features, [np.zeros(len(each)) for each in contents], np.nan)
    together = net(batch.features, batch.lengths)
    assert together.shape[1:] == (3, 2)
    for number, own in enumerate(features):
        alone = net(torch.from_numpy(own)[:, None], torch.tensor([len(own)]))
        torch.testing.assert_close(together[: len(own), number], alone[:, 0])
        assert len(alone) == len(own)
        if subsampling == 4:  # a step has the answer of those that it was joined with
            assert (alone[4:8] == alone[4]).all()


def test_targets_stand_beside_their_steps_also_where_time_is_distorted():
    contents = ramps(20, 33, 21, 40)
    _, how = input_of(contents, noise=0.0, scale=0.0, speed=1.0, masks=0.0)
    batches = StepBatches(
        how,
        contents,
        lambda each: np.array(each.labels, np.float32),
        [len(each) for each in contents],
        padding=np.nan,
        batch_size=2,
        seed=0,
    )
    batch = batches.window(0, 0)
    values = batch.features[..., 0] * how.standardiser.std[0] + how.standardiser.mean[0]
    for row, steps in enumerate(batch.lengths.tolist()):
        assert steps not in (20, 21, 33, 40)
        near = (10 * values[:steps, row] - batch.targets[:steps, row]).abs()
        assert near.max() <= 10.1  # the label of the nearest step
        assert batch.targets[steps:, row].isnan().all()


def test_a_filter_is_what_an_untrained_network_answers():
    generator = np.random.default_rng(0)
    values, weight = (
        generator.normal(size=(50, 2)).astype(np.float32),
        generator.normal(size=(3, 2, 5)),
    )
    plain = SequenceFrontEnd(2, [Block(4)] * 3, causal=True)
    filtered = torch.tensor(weight, dtype=torch.float32), torch.tensor([1.0, 2.0, 3.0])
    front = FilteredFrontEnd(plain, *filtered)
    net = StepNet(SequenceConfig(**SIZES, bidirectional=False), front, 3).eval()
    found = net(torch.from_numpy(values)[:, None], torch.tensor([50]))[:, 0]
    for output in range(3):
        parts = [
            np.convolve(values[:, channel], weight[output, channel, ::-1])[:50]
            for channel in range(2)
        ]
        expected = np.sum(parts, axis=0) + output + 1
        np.testing.assert_allclose(found[:, output].detach(), expected, atol=1e-4)
    stream = FrontEndStream(front)
    pieces = [stream.feed(torch.from_numpy(part)) for part in np.split(values, [3, 4, 20])]
    whole, _ = front(torch.from_numpy(values)[:, None], torch.tensor([50]))
    torch.testing.assert_close(torch.cat([*pieces, stream.finish()]), whole[:, 0])
    with pytest.raises(ConfigError, match="joins 2"):
        FilteredFrontEnd(SequenceFrontEnd(2, [Block(4, steps=2)]), *filtered)


def test_the_least_squares_filter_is_that_of_numpy():
    generator = np.random.default_rng(1)
    pairs = []
    for steps in (5000, 40):
        features = generator.normal(size=(steps, 2))
        targets = np.stack([features[:, 0], np.roll(features[:, 1], 2)], axis=1) + 0.5
        targets[generator.random(steps) < 0.2] = np.nan
        pairs.append((features, targets))
    weight, bias = least_squares_filter(pairs, 3)
    rows, known = [], []
    for features, targets in pairs:
        padded = np.concatenate([np.zeros((2, 2)), features])
        rows += [np.append(padded[n : n + 3].ravel(), 1) for n in range(len(features))]
        known.append(targets)
    table, known = np.array(rows), np.concatenate(known)
    seen = np.isfinite(known).all(1)
    expected = np.linalg.lstsq(table[seen], known[seen], rcond=None)[0]
    np.testing.assert_allclose(
        weight, expected[:-1].T.reshape(2, 3, 2).transpose(0, 2, 1), atol=1e-3
    )
    np.testing.assert_allclose(bias, expected[-1], atol=1e-3)
