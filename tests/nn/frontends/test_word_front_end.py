"""Vectors of words: independent of padding and of other rows, of their own and of characters."""

import pytest
import torch
from torch.nn import functional

from recurra.errors import ConfigError
from recurra.nn.frontends import FrontEnd, FrontEndStream, WordFrontEnd


def rows_of_words(steps, rows, letters=9, width=6):
    """Numbers (T, B, 1 + C), words of 1 to C characters."""
    ids = torch.randint(1, 20, (steps, rows, 1))
    spelt = torch.randint(1, letters, (steps, rows, width))
    ends = torch.randint(1, width + 1, (steps, rows, 1))
    return torch.cat([ids, spelt * (torch.arange(width) < ends)], -1)


@pytest.fixture
def front():
    return WordFrontEnd(20, 5, letters=9, letter_size=3, channels=4).eval()


def test_it_is_a_front_end_of_single_steps(front):
    assert isinstance(front, FrontEnd)
    assert (front.output_size, front.subsampling, front.context) == (9, 1, (0, 0))
    assert front.lengths(torch.tensor([3, 0])).tolist() == [3, 0]


def test_rows_do_not_depend_on_padding_or_on_one_another(front):
    features, lengths = rows_of_words(7, 4), torch.tensor([7, 4, 1, 0])
    steps, found = front(features, lengths)
    assert found.tolist() == lengths.tolist()
    padded = torch.cat([features, torch.randint(0, 9, (3, 4, 7))])
    padded = functional.pad(padded, (0, 5))  # more room for characters
    for length, row in zip(lengths, range(4), strict=True):
        alone, _ = front(features[:length, row : row + 1], length[None])
        torch.testing.assert_close(steps[:length, row], alone[:, 0])
        assert not steps[length:, row].any()
    again, _ = front(padded, lengths)
    torch.testing.assert_close(again[:7], steps)
    assert not again[7:].any()


def test_a_word_is_its_vector_and_the_largest_outputs_over_its_characters(front):
    features = rows_of_words(6, 3)
    steps, _ = front(features, torch.full((3,), 6))
    for place in ((0, 0), (3, 1), (5, 2)):
        token, *letters = features[place].tolist()
        torch.testing.assert_close(steps[place][:5], front.tokens.weight[token])
        word = [letter for letter in letters if letter]
        rows = front.letters.weight[word].t()[None]
        outputs = [convolve(rows)[..., : len(word)].relu() for convolve in front.spellings]
        torch.testing.assert_close(steps[place][5:], torch.cat(outputs, 1)[0].amax(1))


def test_an_even_width_reads_a_letter_more_before_than_after():
    front = WordFrontEnd(9, 1, letters=9, letter_size=1, channels=1, widths=(2, 4)).eval()
    with torch.no_grad():
        front.letters.weight.copy_(torch.arange(9.0)[:, None])
        for convolve in front.spellings:
            convolve.weight.copy_(10.0 ** torch.arange(convolve.weight.numel()).flip(0))
            convolve.bias.zero_()
    steps, _ = front(torch.tensor([[[1, 2, 1, 3, 0]]]), torch.tensor([1]))
    assert steps[0, 0, 1:].tolist() == [21, 2130]


def test_unknown_words_are_read_by_their_characters(front):
    features = rows_of_words(2, 1)
    features[:, 0, 0] = 1
    steps, _ = front(features, torch.tensor([2]))
    assert torch.equal(steps[0, 0, :5], steps[1, 0, :5])
    assert not torch.equal(steps[0, 0, 5:], steps[1, 0, 5:])


def test_a_step_without_characters_has_none(front):
    steps, _ = front(torch.zeros(3, 2, 7, dtype=torch.long), torch.tensor([3, 3]))
    assert not steps.any()


def test_without_characters():
    front = WordFrontEnd(20, 5)
    steps, _ = front(torch.full((2, 1, 1), 7), torch.tensor([2]))
    assert torch.equal(steps[0, 0], front.tokens.weight[7])
    assert front.output_size == 5


def test_padding_is_not_trained():
    front = WordFrontEnd(20, 5, letters=9)
    features = rows_of_words(4, 2)
    features[..., 0] %= 19
    features[0, 0] = 0
    features[2:, 1, 0] = 19  # after its end
    steps, _ = front(features, torch.tensor([4, 2]))
    steps.sum().backward()
    assert not front.tokens.weight.grad[0].any()
    assert not front.letters.weight.grad[0].any()
    assert not front.tokens.weight.grad[19].any()
    assert front.tokens.weight.grad[1:].any()
    assert front.spellings[0].weight.grad.any()


def test_dropout_in_training_alone():
    front = WordFrontEnd(20, 400, dropout=0.5)
    features, lengths = torch.full((1, 1, 1), 3), torch.tensor([1])
    share = (front(features, lengths)[0] == 0).float().mean()
    assert 0.3 < share < 0.7
    assert (front.eval()(features, lengths)[0] != 0).all()


def test_vectors_of_words():
    given = torch.randn(20, 5) * 3
    given[[0, 1, 7]] = 0
    front = WordFrontEnd(20, 5)
    front.take_vectors(given)
    weight = front.tokens.weight
    assert weight.requires_grad
    assert torch.equal(weight[2:7], given[2:7])
    assert weight[[1, 7]].abs().mean() > 0.3
    assert not weight[0].any()
    frozen = WordFrontEnd(20, 5, letters=9)
    frozen.take_vectors(given.double(), frozen=True)
    assert torch.equal(frozen.tokens.weight, given)
    assert not frozen.tokens.weight.requires_grad
    assert frozen.letters.weight.requires_grad
    unknown = WordFrontEnd(20, 5)
    unknown.take_vectors(torch.zeros(20, 5))
    assert unknown.tokens.weight[1:].any()


def test_vectors_that_do_not_fit():
    with pytest.raises(ConfigError, match=r"shape \(3, 5\), and the tokens need \(20, 5\)"):
        WordFrontEnd(20, 5).take_vectors(torch.zeros(3, 5))


def test_a_stream_gives_each_word_at_once(front):
    features = rows_of_words(5, 1)
    whole, _ = front(features, torch.tensor([5]))
    stream = FrontEndStream(front)
    parts = [stream.feed(features[:2, 0]), stream.feed(features[2:, 0])]
    assert [len(part) for part in parts] == [2, 3]
    torch.testing.assert_close(torch.cat(parts), whole[:, 0])
