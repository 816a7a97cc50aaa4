"""The networks: whole targets are their steps, probabilities sum to 1, padding changes nothing."""

import itertools

import pytest
import torch

from recurra.decoding.sequence_beam import search
from recurra.decoding.sequence_options import BeamOptions
from recurra.tasks.translate.aligner import AlignerNet
from recurra.tasks.translate.config import TranslateConfig
from recurra.tasks.translate.model import PairBatch, TranslateNet, without_words
from recurra.tasks.translate.net_generator import NetGenerator

KINDS = {
    "additive": {},
    "multiplicative": {"attention": "multiplicative", "cell": "lstm"},
    "dot": {"attention": "dot", "heads": 2, "layers": 1},
    "monotonic": {"attention": "monotonic", "layers": 3},
    "none": {"attention": "none", "cell": "rnn"},
    "fed": {"input_feeding": True},
    "fed monotonic": {"input_feeding": True, "attention": "monotonic"},
    "copy": {"copy": True},
    "residual": {"layers": 3, "skip": "residual", "norm": "pre"},
}
SMALL = {"hidden": 8, "embedding": 8, "tie_embeddings": "output"}
SOURCE = torch.tensor([[2, 5, 3], [4, 6, 0], [3, 7, 0], [2, 0, 0]])
LENGTHS = torch.tensor([4, 3, 1])
TARGET = torch.tensor([[3, 2, 4], [2, 0, 4], [5, 0, 0]])
TARGET_LENGTHS = torch.tensor([3, 1, 2])


def net_of(kind, **settings):
    torch.manual_seed(3)
    net = TranslateNet(TranslateConfig(**{**SMALL, **KINDS[kind], **settings}), 8, 7)
    for parameter in net.parameters():  # away from small values, at which all is alike
        parameter.data *= 2
    return net.eval().double()


def batch(rows=slice(0, 3), steps=4, **others):
    own = {"copies": SOURCE[:steps, rows], "wanted": TARGET[:, rows], **others}
    return PairBatch(
        SOURCE[:steps, rows], LENGTHS[rows], TARGET[:, rows], TARGET_LENGTHS[rows], **own
    )


@pytest.mark.parametrize("kind", KINDS)
def test_whole_targets_are_their_steps(kind):
    net = net_of(kind)
    whole = net(batch())
    source, state = net.encode(SOURCE, LENGTHS), None
    tokens = torch.zeros(3, dtype=torch.long)
    for t, following in enumerate([*TARGET, None]):
        log_probs, _, state = net.step(tokens, source, state, SOURCE, 7 + (kind == "copy"))
        torch.testing.assert_close(log_probs, whole[t])
        tokens = following


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_sum_to_one(kind):
    found = net_of(kind)(batch())
    assert found.shape[2] == 7 + (kind == "copy")
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(found.shape[:2]).double())


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_that_of_the_targets_tokens(kind):
    net = net_of(kind)
    own, found = batch(), net(batch())
    nats = [
        -found[t, b, [*TARGET[:length, b].tolist(), 0][t]]
        for b, length in enumerate(TARGET_LENGTHS.tolist())
        for t in range(length + 1)
    ]
    torch.testing.assert_close(net.loss(own), torch.stack(nats).mean())
    assert own.targets_in_all == len(nats)


def test_what_the_vocabulary_lacks_is_copied():
    net = net_of("copy")
    wanted = TARGET.clone()
    wanted[0, 1] = 7  # a token of the second source that targets lack
    found = net._decoded(net.encode(SOURCE, LENGTHS), torch.zeros(1, 3, dtype=torch.long))
    share = torch.sigmoid(net.gate(found.outputs))[0, 1, 0]
    weight = found.weights[0, (SOURCE == 7).nonzero()[0][0], 1]
    expected = (share * weight).log()
    log_probs = net._log_probs(found, SOURCE, 8)
    torch.testing.assert_close(log_probs[0, 1, 7], expected)
    one = PairBatch(
        SOURCE[:3, 1:2],
        LENGTHS[1:2],
        torch.tensor([[1]]),
        torch.tensor([1]),
        SOURCE[:3, 1:2],
        torch.tensor([[7]]),
    )
    log_end = net(one)[1, 0, 0]
    torch.testing.assert_close(net.loss(one), -(expected + log_end) / 2)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_depend_on_one_another(kind):
    net = net_of(kind)
    whole = net(batch())
    for row, length in enumerate(LENGTHS.tolist()):
        alone = net(batch(slice(row, row + 1), length))
        torch.testing.assert_close(alone[:, 0], whole[:, row, : alone.shape[2]])


@pytest.mark.parametrize("kind", ["additive", "monotonic", "fed", "copy", "residual"])
def test_a_wide_beam_finds_the_best_of_all_sequences(kind):
    net, choices = net_of(kind), 8
    net.head.bias.data[0] += 1.0
    copies = SOURCE if kind == "copy" else SOURCE.clamp(max=6)
    generator = NetGenerator(net, choices)
    state = generator.start(SOURCE, LENGTHS, copies)
    how = BeamOptions(beam=60, nbest=3, maximum_length=2)
    found = search(generator, state, LENGTHS, how, forbidden=(1,))
    for row in range(3):
        scores = {}
        for length in range(3):
            for tokens in itertools.product(range(2, choices), repeat=length):
                scores[tokens] = scored(net, row, tokens, copies, choices)
        best = sorted(scores, key=scores.get, reverse=True)[:3]
        assert [one.tokens for one in found[row]] == best
        for one in found[row]:
            assert one.score == pytest.approx(scores[one.tokens], abs=1e-6)


def scored(net, row, tokens, copies, choices):
    """The log-probability of a target (tokens) of a row, step by step."""
    length = int(LENGTHS[row])
    source = net.encode(SOURCE[:length, row : row + 1], LENGTHS[row : row + 1])
    before, state, total = 0, None, 0.0
    for token in (*tokens, 0):
        log_probs, _, state = net.step(
            torch.tensor([before]), source, state, copies[:length, row : row + 1], choices
        )
        total += float(log_probs[0, token].detach())
        before = token
    return total


def test_tied_matrices_are_one():
    config = TranslateConfig(**{**SMALL, "tie_embeddings": "all", "share_vocabulary": True})
    net = TranslateNet(config, 7, 7)
    assert net.head.weight is net.embedding.weight is net.encoder.embedding.weight
    apart = TranslateNet(TranslateConfig(**{**SMALL, "tie_embeddings": "none"}), 7, 7)
    assert apart.parameter_count() == net.parameter_count() + 2 * 7 * 8


def test_dropped_words_are_unknown_and_boundaries_stay():
    torch.manual_seed(0)
    tokens = torch.cat([torch.zeros(1, 50), torch.full((200, 50), 5)]).long()
    dropped = without_words(tokens, 0.3)
    assert not dropped[0].any()
    assert set(dropped[1:].unique().tolist()) == {1, 5}
    assert (dropped[1:] == 1).float().mean() == pytest.approx(0.3, abs=0.02)


def test_own_answers_replace_a_share_of_the_inputs():
    net = net_of("additive", scheduled_sampling=1.0)
    source = net.encode(SOURCE, LENGTHS)
    inputs = torch.nn.functional.pad(TARGET, (0, 0, 1, 0))
    mixed = net._own_answers(source, inputs)
    first = net(batch()).argmax(-1)
    assert not mixed[0].any()
    assert torch.equal(mixed[1:], first[:-1])


def test_coverage_makes_attending_again_dear():
    net = net_of("additive", coverage=2.0, label_smoothing=0.0, dropout=0.0)
    plain = net.loss(batch())
    plain.backward()
    before = net.decoder.attention.key.weight.grad.clone()
    net.zero_grad()
    net.train()
    value = net.loss(batch())
    value.backward()
    torch.testing.assert_close(value.detach(), plain.detach())  # the value is the targets' alone
    assert not torch.allclose(net.decoder.attention.key.weight.grad, before)


def test_an_aligners_loss_is_ctcs():
    torch.manual_seed(1)
    config = TranslateConfig(model="ctc", hidden=8, embedding=8, stretch=2)
    net = AlignerNet(config, 8, 7).eval().double()
    frames = net(batch())
    assert frames.shape == (8, 3, 7)
    total = 0.0
    for row in range(3):
        steps, length = 2 * int(LENGTHS[row]), int(TARGET_LENGTHS[row])
        wanted = TARGET[:length, row].tolist()
        ways = torch.tensor(-torch.inf).double()
        for path in itertools.product(range(7), repeat=steps) if steps <= 6 else ():
            read = [k for k, _ in itertools.groupby(path) if k]
            if read == wanted:
                ways = torch.logaddexp(ways, sum(frames[t, row, k] for t, k in enumerate(path)))
        if steps <= 6:
            one = PairBatch(
                SOURCE[:, row : row + 1],
                LENGTHS[row : row + 1],
                TARGET[:length, row : row + 1],
                torch.tensor([length]),
                SOURCE[:, :1],
                TARGET[:, :1],
            )
            if torch.isfinite(ways):
                torch.testing.assert_close(net.loss(one) * (length + 1), -ways)
                total += 1
    assert total
