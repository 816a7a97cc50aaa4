"""Schemes of tags against seqeval's reading, and each against the others."""

import itertools
import random

import pytest

from recurra.data.texts.settled_tags import settle_tags
from recurra.data.texts.tag_schemes import (
    allowed_transitions,
    broken_tags,
    converted_tags,
    recognise_scheme,
    segments_of,
)
from recurra.data.texts.tagged_tokens import TaggedTokens
from recurra.errors import DataError

SCHEMES = ("bio", "bioes", "bilou", "iob1")
TAGS = ["O", "B", "I", *(f"{letter}-{kind}" for letter in "BIES" for kind in ("PER", "a-b"))]


def drawn(count, tags=TAGS, seed=0):
    generator = random.Random(seed)
    return [generator.choices(tags, k=generator.randint(1, 9)) for _ in range(count)]


def test_segments_are_those_of_seqeval():
    labeling = pytest.importorskip(
        "seqeval.metrics.sequence_labeling", reason="seqeval isn't installed"
    )
    for tags in drawn(3000):
        ours = [(kind, start, stop - 1) for kind, start, stop in segments_of(tags)]
        assert ours == labeling.get_entities(tags), tags


@pytest.mark.parametrize("scheme", SCHEMES)
def test_conversion_keeps_segments_and_the_scheme(scheme):
    for tags in drawn(500):
        converted = converted_tags(tags, scheme)
        assert segments_of(converted) == segments_of(tags), tags
        assert broken_tags(converted, scheme) == [], tags
        assert converted_tags(converted, scheme) == converted


def written(segments, length, scheme):
    """Tags of disjoint segments, by the definition of the scheme."""
    tags = ["O"] * length
    for number, (kind, start, stop) in enumerate(segments):
        inner = ["I"] * (stop - start)
        if scheme == "bio" or (
            scheme == "iob1"
            and number
            and segments[number - 1].stop == start
            and segments[number - 1].kind == kind
        ):
            inner[0] = "B"
        if scheme in ("bioes", "bilou"):
            inner[0], inner[-1] = "B", "EL"[scheme == "bilou"]
            inner = ["SU"[scheme == "bilou"]] if stop - start == 1 else inner
        tags[start:stop] = [f"{letter}-{kind}" for letter in inner]
    return tuple(tags)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_tags_are_written_as_the_scheme_defines(scheme):
    for tags in drawn(500, [tag for tag in TAGS if len(tag) != 1] + ["O"] * 5):
        assert converted_tags(tags, scheme) == written(segments_of(tags), len(tags), scheme)


VALID = {
    "bio": ["O", "B-X", "I-X", "B-Y", "I-Y"],
    "iob1": ["O", "B-X", "I-X", "B-Y", "I-Y"],
    "bioes": ["O", "B-X", "I-X", "E-X", "S-X", "B-Y", "E-Y"],
    "bilou": ["O", "B-X", "I-X", "L-X", "U-X", "B-Y", "L-Y"],
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_paths_that_are_allowed_are_those_that_conversion_leaves_alone(scheme):
    """A path holds the scheme if it is how its own segments are written."""
    tags = VALID[scheme]
    start, between, end = allowed_transitions(tags, scheme)
    holding = 0
    for length in (1, 2, 3):
        for path in itertools.product(range(len(tags)), repeat=length):
            own = [tags[number] for number in path]
            allowed = start[path[0]] and end[path[-1]]
            allowed = allowed and all(between[i, j] for i, j in itertools.pairwise(path))
            assert allowed == (not broken_tags(own, scheme))
            assert allowed == (converted_tags(own, scheme) == tuple(own)), own
            holding += allowed
    assert holding > 20


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_scheme_is_recognised(scheme):
    plain = drawn(300, ["O"] * 6 + [tag for tag in TAGS if len(tag) > 1], seed=3)
    assert recognise_scheme([converted_tags(tags, scheme) for tags in plain]) == scheme


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["NOUN", "VERB", "O"], None),
        (["S-1", "E-2", "S-3"], None),
        (["O", "I"], None),
        (["B", "I", "O"], "bio"),
        (["B-X", "I-X", "O", "I-Y"], "bio"),
        (["I-X", "I-X", "O"], "iob1"),
        (["S-X", "O"], "bioes"),
        (["O"] * 99 + ["B-X", "MISC"], "bio"),
        (["O"] * 20 + ["B-X", "MISC"], None),
    ],
)
def test_plain_tags_and_doubtful_ones(tags, scheme):
    assert recognise_scheme([tags]) == scheme


@pytest.mark.parametrize(
    ("scheme", "tags", "message"),
    [
        ("bio", ["I-X"], [(0, "I-X as the first")]),
        ("bio", ["B-X", "I-Y", "O", "I-Y"], [(1, "I-Y after B-X"), (3, "I-Y after O")]),
        ("bioes", ["B-X", "O", "B-Y"], [(1, "O after B-X"), (2, "B-Y as the last")]),
        ("iob1", ["O", "B-X"], [(1, "B-X after O")]),
        ("bio", ["O", "PER"], [(1, "'PER', which is not O and has none of B-, I-")]),
    ],
)
def test_what_breaks_a_scheme_is_named(scheme, tags, message):
    assert broken_tags(tags, scheme) == message


def settled(*tags):
    notes = []
    texts = [TaggedTokens(("w",) * len(each), {"ner": tuple(each)}) for each in tags]
    found = settle_tags(texts, lambda text, token: f"line {10 * text + token}", notes)
    return [each if isinstance(each, DataError) else each.tags["ner"] for each in found], notes


def test_broken_tags_are_repaired_and_named():
    fine = ("B-X", "I-X", "O")
    found, notes = settled(
        fine, fine, ("O", "I-X", "I-Y"), ("I-Y",), ("I-X", "O", "I-X"), *[fine] * 9
    )
    assert found[2:5] == [("O", "B-X", "B-Y"), ("B-Y",), ("B-X", "O", "B-X")]
    assert notes == [
        "layer ner: 5 tags of 3 sequences break BIO and were read as conlleval does, as if a "
        "segment began or ended there: line 21: I-X after O; line 22: I-Y after I-X; line 30: I-Y "
        "as the first; …"
    ]


def test_one_scheme_for_the_same_tags():
    found, notes = settled(("O", "U-X"), ("B-X", "L-X"))
    assert found == [("O", "S-X"), ("B-X", "E-X")]
    assert notes == ["layer ner: its tags are BILOU and were converted to BIOES."]
    assert settled(("NOUN", "VERB")) == ([("NOUN", "VERB")], [])


def test_a_tag_without_the_form_is_an_error_of_its_sequence():
    found, notes = settled(*[("B-X", "O")] * 60, ("O", "PER"))
    assert str(found[-1]) == (
        "line 601: a tag is 'PER', which is not O and has none of B-, I-, and the others are BIO "
        "(layer ner); correct it."
    )
    assert (found[0], notes) == (("B-X", "O"), [])
