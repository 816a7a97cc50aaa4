"""Forms of transcripts: what each rule does, and that a form changes nothing twice."""

import dataclasses
import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.text_form import TextForm, parse_replacements
from recurra.errors import ConfigError

FORMS = [
    TextForm(case=case, form=form, punctuation=punctuation)
    for case in ("keep", "lower", "upper")
    for form in ("NFC", "NFKC", "none")
    for punctuation in ("keep", "remove")
]


@pytest.mark.parametrize(
    ("rules", "text", "expected"),
    [
        ({}, "  e\u0301te\u0301 \u00a0a\r\nb\t", "\u00e9t\u00e9 a b"),
        ({"form": "none"}, "e\u0301", "e\u0301"),
        ({"form": "NFKC"}, "\ufb01n x\u00b2", "fin x2"),
        ({"case": "lower"}, "\u00c9T\u00c9 Stra\u00dfe", "\u00e9t\u00e9 stra\u00dfe"),
        ({"case": "upper"}, "Stra\u00dfe", "STRASSE"),
        ({"case": "lower"}, "5 \u212a", "5 k"),
        ({"case": "upper"}, "\u0390", "\u03aa\u0301"),
        ({"punctuation": "remove"}, "\u00ab Don't! \u00bb re-enter, 'so'", "Don't re enter so"),
        ({"punctuation": "remove"}, "3.5 + $2 (U.S.)", "3 5 + $2 U S"),
        ({"punctuation": "remove"}, "snake_case o_'_o", "snake case o o"),
        ({"replace": [["\u017f", "s"], ["\u00ac", ""]]}, "\u017foit avan\u00ac", "soit avan"),
        ({"replace": [["a", "b"], ["b", "c"]]}, "ab", "cc"),
        ({"replace": [["\u017f", "s"]], "case": "upper"}, "\u017f", "S"),
    ],
)
def test_each_rule(rules, text, expected):
    assert TextForm(**rules).apply(text) == expected


@pytest.mark.parametrize("form", FORMS, ids=str)
@given(text=st.text(max_size=8))
@settings(max_examples=25)
def test_a_form_changes_nothing_twice(form, text):
    once = form.apply(text)
    assert form.apply(once) == once
    assert once == " ".join(once.split())
    if form.form != "none":
        assert unicodedata.is_normalized(form.form, once)
    if form.punctuation == "remove":
        left = {each for each in once if unicodedata.category(each)[0] == "P"}
        assert left <= {"'", "\u2019"}


def test_settings_travel_as_json():
    form = TextForm(case="upper", replace=(("\u017f", "s"),))
    assert TextForm(**json.loads(json.dumps(dataclasses.asdict(form)))) == form
    assert hash(form) == hash(TextForm(case="upper", replace=[["\u017f", "s"]]))


def test_replacements_are_written_in_one_word_each():
    assert parse_replacements(" a=b  \u00ac= ==x ab=c=d") == (
        ("a", "b"),
        ("\u00ac", ""),
        ("=", "x"),
        ("ab", "c=d"),
    )
    assert parse_replacements("") == ()
    for wrong in ("ab", "=b", "a=b c"):
        with pytest.raises(ConfigError, match="is not a pair; write old=new"):
            parse_replacements(wrong)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"case": "title"}, "case = 'title' of a text form; it is one of keep, lower, upper"),
        ({"form": "NFD"}, "form = 'NFD' of a text form; it is one of NFC, NFKC, none"),
        ({"punctuation": True}, "it is one of keep, remove"),
        ({"replace": "ab"}, "replace of a text form has 'ab'; give pairs of texts"),
        ({"replace": [["", "a"]]}, "old not empty"),
        ({"replace": [["a", 1]]}, "has \\['a', 1\\]"),
        ({"replace": [["a", "b", "c"]]}, "give pairs"),
    ],
)
def test_wrong_rules(rules, message):
    with pytest.raises(ConfigError, match=message):
        TextForm(**rules)
