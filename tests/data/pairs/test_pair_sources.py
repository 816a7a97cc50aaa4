"""Pairs from every kind of source, and what each kind of bad input is told."""

import gzip
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

from recurra.data.pairs.length_limit import fit_source, without_long
from recurra.data.pairs.pair_sources import read_pairs
from recurra.data.pairs.text_pair import Pairs, TextPair, hold_out_pairs
from recurra.data.transcripts.bad_items import BadItems
from recurra.errors import ConfigError, DataError


@pytest.fixture
def put(tmp_path):
    """A function that writes a file below the test's folder."""

    def write(name, content):
        data = content.encode() if isinstance(content, str) else content
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


PAIRS = [("ein Hund", "a dog"), ('"ja", sagt er', '"yes", he says'), ("a\u2028b\x85c", "d\x0be")]


def shown(pairs):
    return [(pair.source, *pair.targets) for pair in pairs]


def rows(form):
    return "".join(form.format(*pair) + "\n" for pair in PAIRS)


def objects(make):
    return "".join(json.dumps(make(*pair), ensure_ascii=False) + "\n" for pair in PAIRS)


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


FILES = {
    "a.tsv": rows("{}\t{}"),
    "b.tsv.gz": "\ufeffSource\tTarget\r\n" + rows("{}\t{}").replace("\n", "\r\n"),
    "c.txt": rows("{}\t{}"),
    "d.csv": "de,en\n" + "".join(f"{quoted(a)},{quoted(b)}\n" for a, b in PAIRS),
    "e.csv": "".join(f"{quoted(a)},{quoted(b)}\n" for a, b in PAIRS),
    "f.tsv": "id\ttranslation\tsrc\n" + "".join(f"7\t{b}\t{a}\n" for a, b in PAIRS),
    "g.jsonl": objects(lambda a, b: {"source": a, "target": b, "id": 3}),
    "h.ndjson.gz": "\n" + objects(lambda a, b: {"target": [b], "source": a}),
    "i.tsv": '"source"\t"target"\n' + "".join(f"{quoted(a)}\t{quoted(b)}\n" for a, b in PAIRS),
}


@pytest.mark.parametrize("name", FILES)
def test_files(put, name):
    path = put(name, FILES[name])
    found = read_pairs(path)
    assert shown(found) == PAIRS
    assert found.places == (str(path),)
    lines = [int(pair.origin.removeprefix(f"{path}, line ")) for pair in found]
    begin = 1 + (name[0] in "bdfhi")
    assert lines == [begin, begin + 1, begin + 2]


NAMED = {
    "a.jsonl": objects(lambda a, b: {"translation": {"de": a, "en": b}, "id": 1}),
    "b.jsonl": objects(lambda a, b: {"en": b, "de": a}),
    "c.csv": "en,de\n" + "".join(f"{quoted(b)},{quoted(a)}\n" for a, b in PAIRS),
}


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize(
    "options", [{"source": "de"}, {"target": "en"}, {"source": "de", "target": "en"}]
)
def test_columns_by_name(put, name, options):
    assert shown(read_pairs(put(name, NAMED[name]), **options)) == PAIRS


def test_columns_by_position(put):
    path = put("a.tsv", "".join(f"9\t{b}\t{a}\n" for a, b in PAIRS))
    assert shown(read_pairs(path, source="3", target="2")) == PAIRS
    found = read_pairs(path)
    assert [pair.source for pair in found] == ["9"] * 3
    assert "has 3 columns and no header; column 1 was read as the source, 2 as" in found.notes[0]
    with pytest.raises(DataError, match="has 3 columns, and 4 are needed"):
        read_pairs(path, source="4")


def test_a_source_of_several_columns(put):
    body = "walk\twalked\tV;PST\ngo\twent\t V;PST \n"
    expected = [("walk V;PST", "walked"), ("go V;PST", "went")]
    path = put("a.tsv", body)
    assert shown(read_pairs(path, source="1,3")) == expected
    assert shown(read_pairs(path, source="1, 3", target="2")) == expected
    named = put("b.tsv", "lemma\tform\ttags\n" + body)
    assert shown(read_pairs(named, source="lemma,tags")) == expected
    assert shown(read_pairs(put("c.csv", '"a,b",target\nx,y\n'), source="a,b")) == [("x", "y")]


HEADERS = {
    "id\ten\tde": ("x", "y"),
    "de\tEN": ("7", "x"),
    "English words/sentences\tFrench words/sentences": ("7", "x"),
    "id\tde": None,
    "is\tgo": None,
    "de\tde": None,
}


@pytest.mark.parametrize("header", HEADERS)
def test_headers_of_languages(put, header):
    count = header.count("\t") + 1
    path = put("a.tsv", f"{header}\n" + "\t".join(["7", "x", "y"][:count]) + "\n")
    expected = HEADERS[header]
    assert shown(read_pairs(path))[0] == (expected or tuple(header.split("\t")))
    assert len(read_pairs(path)) == 1 + (expected is None)


def test_in_memory():
    assert shown(read_pairs(PAIRS)) == PAIRS
    assert shown(read_pairs(iter(PAIRS))) == PAIRS
    assert shown(read_pairs([{"translation": {"de": a, "en": b}} for a, b in PAIRS], source="de"))
    assert shown(read_pairs([("a", ["x", "y", "x", ""]), (1, 2.0)])) == [
        ("a", "x", "y"),
        ("1", "2"),
    ]
    assert read_pairs(PAIRS).places == ()
    assert [pair.origin for pair in read_pairs(PAIRS)] == ["item 0", "item 1", "item 2"]
    again = read_pairs(read_pairs(PAIRS).pairs)
    assert again.digest == read_pairs(PAIRS).digest != read_pairs(PAIRS[::-1]).digest


@pytest.mark.parametrize("package", [pd, pl])
def test_frames(package, tmp_path):
    frame = package.DataFrame({"target": [b for _, b in PAIRS], "source": [a for a, _ in PAIRS]})
    assert shown(read_pairs(frame)) == PAIRS
    path = tmp_path / "a.parquet"
    frame.to_parquet(path) if package is pd else frame.write_parquet(path)
    assert shown(read_pairs(path)) == PAIRS


def test_parallel_files(put):
    source = put("a.de", "\ufeffein\r\n \r\na\u2028b\r\nvier\r\n\r\n")
    target = put("a.en.gz", "one\n\nx\ry\nfour")
    found = read_pairs([source, target])
    assert shown(found) == [("ein", "one"), ("a\u2028b", "x y"), ("vier", "four")]
    assert found[2].origin == f"{source}, line 4"
    assert found.notes == (f"{source}: 1 line is empty in all files and left out (line 2).",)
    assert found.places == (str(source), str(target))
    two = read_pairs([(source, target), (source, target), ("a", "b")])
    assert shown(two) == [*shown(found), *shown(found), ("a", "b")]


def test_further_parallel_files_are_references(put):
    files = [put(name, text) for name, text in (("a", "s\nt\n"), ("b", "x\ny\n"), ("c", "z\n\n"))]
    with pytest.raises(DataError, match=r"has 2 lines, 1 more than .*c"):
        read_pairs(files)
    files[2] = put("c", "z\ny\n")
    assert shown(read_pairs(files)) == [("s", "x", "z"), ("t", "y")]


def test_different_numbers_of_lines(put):
    source, target = put("a.de", "ein\nzwei\ndrei\n"), put("a.en", "one\ntwo\nthree\nfour\nfive\n")
    for given, longer in (([source, target], target), ([target, source], target)):
        with pytest.raises(DataError) as error:
            read_pairs(given, bad=BadItems(1.0))
        message = str(error.value)
        assert message.startswith(f"{longer}: has 5 lines, 2 more than {source} (3);")
        assert "line 3, is " in message
        assert "'drei'" in message
        assert "'three'" in message
        assert f"line 4 of {longer} is 'four'" in message


def test_empty_and_damaged_lines_are_named_and_left_out(put):
    source = put("a.de", b"eins\n\nStra\xdfe\nvier\nf\xc3\xbcnf\n")
    target = put("a.en", "one\ntwo\nstreet\n \nfive\n")
    bad = BadItems(0.8)
    found = read_pairs([source, target], bad=bad)
    assert shown(found) == [("eins", "one"), ("fünf", "five")]
    assert bad.messages == {
        f"{source}, line 2": f"{source}, line 2: is empty, and the line of {target} is 'two'.",
        f"{source}, line 3": f"{source}, line 3: is not UTF-8 (byte 0xdf, the 5. of line 3); "
        "convert it, or give the encoding that it has, such as latin-1.",
        f"{target}, line 4": f"{target}, line 4: is empty, and the line of {source} is 'vier'.",
    }
    assert bad.reasons == {"is empty on one side": 2, "is not UTF-8": 1}
    assert found.bad is bad
    with pytest.raises(DataError, match=r"3 of 5 items can't be used, more than 10 %"):
        read_pairs([source, target], bad=BadItems())
    with pytest.raises(DataError, match="line 2: is empty"):
        read_pairs([source, target])


def test_two_encodings(put):
    source, target = put("a.de", "Straße\n".encode("latin-1")), put("a.ru", "ул\n".encode("utf-16"))
    assert shown(read_pairs([source, target], encoding="latin-1, utf-16")) == [("Straße", "ул")]
    with pytest.raises(DataError, match=r"a\.ru: is UTF-16; give encoding = utf-16"):
        read_pairs([source, target])
    with pytest.raises(ConfigError, match="has 3 names, and there are 2 files"):
        read_pairs([source, target], encoding="a,b,c")


def test_rows_with_other_numbers_of_columns(put):
    body = rows("{}\t{}") + "only one\n" + "a\tb\tc\n" + rows("{}\t{}")
    for header in ("", "source\ttarget\n"):
        bad = BadItems(0.5)
        path = put("a.tsv", header + body)
        assert shown(read_pairs(path, bad=bad)) == PAIRS * 2
        assert list(bad.messages) == [f"{path}, line {n + bool(header)}" for n in (4, 5)]
        one, three = bad.messages.values()
        assert ("has 1 column," in one and "has 3 columns," in three) or "has 3 cells" in three


def test_further_columns_are_references_where_asked(put):
    path = put("a.tsv", "a\tx\ty\nb\tz\t\n")
    assert shown(read_pairs(path, references=True)) == [("a", "x", "y"), ("b", "z")]
    named = put("b.csv", "src,tgt,other\na,x,y\nb,z,z\n")
    assert shown(read_pairs(named, references=True)) == [("a", "x", "y"), ("b", "z")]
    assert "other columns are not read ('other')" in read_pairs(named).notes[0]
    several = put("c.jsonl", '{"source": "a", "target": ["x", "y"]}\n')
    assert shown(read_pairs(several)) == [("a", "x", "y")]


def test_dictionaries(put):
    text = ";;; head\na AH0\nb  B IY1 # letter\na(2) EY1\na(3) AH0\n(2) T UW1\nd\n"
    bad = BadItems(0.5)
    found = read_pairs(put("a.dict", text), bad=bad)
    assert shown(found) == [("a", "AH0", "EY1"), ("b", "B IY1"), ("(2)", "T UW1")]
    assert "4 lines gathered" not in found.notes[0]
    assert found.notes[0].startswith("5 lines gathered to 3 sources, of which 1 have several")
    assert next(iter(bad.messages.values())).endswith("line 7: 'd' has no pronunciation.")
    apart = read_pairs(put("a.txt", text), layout="dictionary", gather=False, bad=BadItems(0.5))
    assert [pair.source for pair in apart] == ["a", "b", "a", "a", "(2)"]
    gathered = read_pairs(put("a.tsv", "a\tx\nb\ty\na\tz\n"), gather=True)
    assert shown(gathered) == [("a", "x", "z"), ("b", "y")]


def test_rows_are_chosen(put):
    path = put("a.tsv", "source\ttarget\tsplit\na\tx\ttrain\nb\ty\ttest\n")
    assert shown(read_pairs(path, where="split=test")) == [("b", "y")]
    with pytest.raises(ConfigError, match="parallel files, which have no columns"):
        read_pairs([put("a", "a\n"), put("b", "b\n")], where="split=test")


WRONG = {
    "no such file": (["nowhere.de", "nowhere.en"], {}),
    "is not a source of pairs": (np.zeros(3), {}),
    r"item 0 \(from 0\) is an object of type int": ([3], {}),
    "item 1: has an empty target": ([("a", "b"), ("c", " ")], {}),
    "item 0: has an empty source": ([(None, "c")], {}),
    "item 0: is empty": ([("", float("nan"))], {}),
    "no column 'fr' .*it has 'en', 'de'": ([{"en": "a", "de": "b"}], {"source": "fr"}),
    "known to be the source or the target; it has 'en', 'de'. Say which": (
        [{"en": "a", "de": "b"}],
        {},
    ),
    "There is no pair": ([], {}),
}


@pytest.mark.parametrize("message", WRONG)
def test_what_cannot_be_read(message):
    data, options = WRONG[message]
    with pytest.raises(DataError, match=message):
        read_pairs(data, **options)


def test_what_files_cannot_be(put):
    plain, table = put("a.de", "ein\n"), put("a.tsv", "a\tb\n")
    with pytest.raises(DataError, match="is one file without tabs; give two parallel files"):
        read_pairs(plain)
    with pytest.raises(DataError, match="some are tables by their endings, and some are not"):
        read_pairs([plain, table])
    with pytest.raises(DataError, match="has 1 column, and 2 are needed"):
        read_pairs(put("b.csv", "a;b\nc;d\n"))
    with pytest.raises(DataError, match="line 1: is not a JSON object; write one object a line"):
        read_pairs(put("a.json", '[{"source": "a", "target": "b"}]'))
    with pytest.raises(DataError, match=r"line 1: is not valid JSON \(Expecting"):
        read_pairs(put("a.jsonl", "x\n"))
    with pytest.raises(DataError, match="is empty"):
        read_pairs([put("c.de", ""), plain])
    with pytest.raises(ConfigError, match="layout = 'xml' of pairs; it is one of auto, parallel"):
        read_pairs(plain, layout="xml")
    with pytest.raises(ConfigError, match="both column 'en'"):
        read_pairs(put("b.jsonl", '{"en": "a", "de": "b"}\n'), source="en", target="en")


def words(text):
    return len(text.split())


def test_long_pairs_are_left_out_and_named():
    given = [("a b c d", "x"), ("a", "x y z"), ("b", ["x y z", "x"]), *PAIRS * 9]
    bad = BadItems()
    kept = without_long(read_pairs(given, bad=bad), (3, 3), words)
    assert shown(kept) == [("a", "x y z"), ("b", "x y z", "x"), *PAIRS * 9]
    assert list(bad.messages.values()) == [
        "item 0: its source 'a b c d' has 4 tokens, more than the longest may have (3)."
    ]
    bad = BadItems(0.5)
    kept = without_long(read_pairs(given, bad=bad), (4, 5), words, len)
    assert shown(kept)[:3] == [("a b c d", "x"), ("a", "x y z"), ("b", "x y z", "x")]
    assert len(kept) == 21
    assert bad.reasons == {"is too long": 9}
    kept = without_long(read_pairs(given, bad=BadItems(0.9)), (4, 3), words, len)
    assert shown(kept)[1] == ("b", "x")
    with pytest.raises(DataError, match="its target 'x' has 1 token, more than"):
        without_long(read_pairs(given[2:3], bad=BadItems(0.9)), (4, 0), words)
    with pytest.raises(DataError, match=r"30 of 30 items can't be used.*is too long: 25"):
        without_long(read_pairs(given, bad=BadItems()), (4, 0), words)


def test_held_out_pairs_have_sources_of_their_own():
    pairs = Pairs(tuple(TextPair(str(n % 50), (str(n),)) for n in range(100)), places=("x",))
    train, held = hold_out_pairs(pairs, 0.2, seed=1)
    assert len(held) == 20
    assert sorted(shown(train) + shown(held)) == sorted(shown(pairs))
    assert not {*train.sources} & {*held.sources}
    assert held.places == ("x",)
    assert shown(hold_out_pairs(pairs, 0.2, seed=2)[1]) != shown(held)
    with pytest.raises(DataError, match="Nothing can be held out of 1 pairs"):
        hold_out_pairs(Pairs(pairs.pairs[:1]), 0.2)


def test_a_source_is_cut_or_refused():
    assert fit_source(["a", "b"], 2, "line 1", cut=False) == ["a", "b"]
    with pytest.raises(DataError, match="line 1: has 3 tokens, and the longest source may have 2"):
        fit_source(["a"] * 3, 2, "line 1", cut=False)


@pytest.mark.data
def test_real_data(real_data):
    folder = real_data / "multi30k_en_de"
    found = read_pairs([folder / "train.de", folder / "train.en"], bad=BadItems(0.0))
    assert (len(found), found.notes) == (29_000, ())
    words = read_pairs(real_data / "cmudict" / "cmudict.dict", bad=BadItems(0.0))
    assert len(words) == 126_052
    assert sum(len(pair.targets) for pair in words) == 135_164  # two lines come twice
