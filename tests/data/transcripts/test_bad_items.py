"""Bad items: named, counted by reason, and an end where they are too many."""

import pytest

from recurra.data.transcripts.bad_items import BadItems
from recurra.errors import ConfigError, DataError


def noted(count, share=0.1):
    bad = BadItems(share)
    for number in range(count):
        bad.note(f"{number}.wav", DataError(f"{number}.wav: has {number} samples (too few); cut."))
    return bad


def test_a_sentence_names_five_and_counts_the_rest():
    bad = noted(6)
    bad.note("b/x.wav", "is silent; record it again.")
    bad.note("b/y.wav", "/data/b/y.wav: holds 3 NaN", reason="holds NaN")
    assert str(bad).startswith("8 items can't be used: 0.wav: has 0 samples (too few); cut. 1.wav:")
    assert str(bad).endswith("And 3 more (has … samples: 1; is silent: 1; holds NaN: 1).")
    assert bad.reasons == {"has … samples": 6, "is silent": 1, "holds NaN": 1}
    assert str(BadItems()) == "No item is bad."


def test_a_message_that_does_not_name_its_item_gets_its_name():
    bad = BadItems()
    bad.note("a.wav", "is silent.")
    assert str(bad) == "1 item can't be used: a.wav: is silent."


def test_the_first_error_of_an_item_is_kept():
    bad = noted(1)
    bad.note("0.wav", "something else")
    assert len(bad) == 1
    assert "0.wav" in bad
    assert bad.messages == {"0.wav": "0.wav: has 0 samples (too few); cut."}


@pytest.mark.parametrize(
    ("count", "share", "total", "ends"),
    [
        (1, 0.1, 10, False),
        (2, 0.1, 10, True),
        (1, 0, 1000, True),
        (9, 1, 10, False),
        (10, 1, 10, True),
        (0, 0, 0, False),
        (1, 0.1, 1, True),
    ],
)
def test_more_than_the_share_ends_the_work(count, share, total, ends):
    bad = noted(count, share)
    if not ends:
        bad.check(total)
        return
    with pytest.raises(DataError, match=rf"^{count} of {total:,} items? can't be used, ") as error:
        bad.check(total)
    assert "0.wav: has 0 samples" in str(error.value)
    assert ("all of the data" if share == 1 else f"more than {100 * share:g} % of") in str(
        error.value
    )


def test_shares():
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(ConfigError, match="it is a share from 0 to 1"):
            BadItems(share)
