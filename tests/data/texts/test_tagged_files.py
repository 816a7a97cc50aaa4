"""Tagged texts from files of every kind, and what is said of each row that can't be used."""

import gzip
import json

import pytest

from recurra.data.texts.tagged_files import read_tagged
from recurra.data.transcripts.bad_items import BadItems
from recurra.data.transcripts.item_sources import digest_items
from recurra.errors import ConfigError, DataError


@pytest.fixture
def put(tmp_path):
    """A function that writes a file below the test's folder."""

    def write(name, content):
        path = tmp_path / name
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def shown(items):
    return [list(zip(i.data.tokens, *i.data.tags.values(), strict=True)) for i in items]


SENTENCES = [
    [("Ann", "PROPN"), ("sings", "VERB")],
    [("#", "SYM"), ("1", "NUM"), (",", "PUNCT")],
    [("Go", "VERB")],
]


def lines(form, between="\n"):
    return between.join("".join(form.format(*pair) for pair in own) for own in SENTENCES)


def table(form, header):
    rows = (form.format(n, *pair) for n, own in enumerate(SENTENCES) for pair in own)
    return header + "".join(rows)


def conllu():
    rows = [
        "".join(
            f"{n}\t{form}\t_\t{tag}\tX\t_\t0\troot\t_\t_\n" for n, (form, tag) in enumerate(own, 1)
        )
        for own in SENTENCES
    ]
    return "# sent_id = a\n# text = Ann sings\n" + "\n".join(rows)


def objects(tokens, tags):
    kept = [{tokens: [t for t, _ in own], tags: [t for _, t in own]} for own in SENTENCES]
    return "".join(json.dumps(each) + "\n" for each in kept)


FILES = {
    "tabs.tsv": lines("{0}\t{1}\n"),
    "windows.tsv": "\ufeff" + lines("{0}\t{1}\n").replace("\n", "\r\n"),
    "packed.conll.gz": lines("{0}\t{1}\n", "\n\n \n"),
    "blanks.conll": lines("{0}  {1} \n"),
    "doc.txt": "-DOCSTART- X\n\n" + lines("{0} {1}\n", "\n-DOCSTART- -X-\n\n"),
    "comments.conll": "# id 12 domain=en\n" + lines("{0} {1}\n", "\n# two words\n#x\n"),
    "wide.conll": lines("{0} _ _ {1}\n"),
    "counted.tsv": "1\tAnn\tPROPN\n2\tsings\tVERB\n\n1\t#\tSYM\n2\t1\tNUM\n3\t,\tPUNCT\n\n"
    "1\tGo\tVERB",
    "header.tsv": "word\tpos\n" + lines("{0}\t{1}\n"),
    "header.csv": "Token,Tag\n" + lines('"{0}","{1}"\n'),
    "long.csv": table('{0},"{1}",{2}\n', "sentence_id,token,tag\n"),
    "long.tsv": table("{0}\t{1}\t{2}\n", "id\tWord\tner\n"),
    "kaggle.csv": "Sentence #,Word,Tag\nS1,Ann,PROPN\n,sings,VERB\nS2,#,SYM\n,1,NUM\n"
    ',",",PUNCT\nS3,Go,VERB',
    "ud.conllu": conllu(),
    "ud.txt": conllu(),
    "a.jsonl": objects("tokens", "tags"),
    "b.jsonl.gz": objects("words", "ner_tags"),
    "c.ndjson": objects("Tokens", "anything"),
}


@pytest.mark.parametrize("name", FILES)
def test_files(put, name):
    path, notes = put(name, FILES[name]), []
    items = read_tagged(path, bad=BadItems(0), notes=notes)
    assert shown(items) == SENTENCES
    assert not notes
    assert len({item.name for item in items}) == 3
    assert all(item.kind == "text" and item.format == "memory" for item in items)
    assert items[0].text == "Ann sings"
    assert items[0].origin.startswith(f"{path}, line ")
    again = read_tagged(path, labels=False)
    assert [item.data.tokens for item in again] == [item.data.tokens for item in items]
    assert digest_items(again) != digest_items(items)


def test_places_are_the_lines_where_sentences_begin(put):
    path = put("a.conll", "\n" + lines("{0} {1}\n"))
    assert [i.name for i in read_tagged(path)] == ["a.conll:2", "a.conll:5", "a.conll:9"]
    path = put("a.jsonl", "\n" + objects("tokens", "tags"))
    assert [i.origin for i in read_tagged(path)] == [f"{path}, line {n}" for n in (2, 3, 4)]
    both = read_tagged([path, str(path)])
    assert len(both) == 6


CONLL = "Ann NNP B-NP {0}PER\nSmith NNP I-NP I-PER\nran VBD B-VP O\n\nNo DT B-NP O\n"


@pytest.mark.parametrize(
    ("layers", "tags"),
    [
        ((), {"tag": ("B-PER", "I-PER", "O")}),
        (("2",), {"tag": ("NNP", "NNP", "VBD")}),
        (("-2", "4"), {"3": ("B-NP", "I-NP", "B-VP"), "4": ("B-PER", "I-PER", "O")}),
    ],
)
def test_layers_of_columns(put, layers, tags):
    notes = []
    items = read_tagged(put("a.txt", CONLL.format("B-")), layers=layers, notes=notes)
    assert items[0].data.tags == tags
    assert len(notes) == (not layers)
    assert not notes or notes[0].endswith(
        "column 1 was read as the token and column 4 as its tag; others are ignored "
        "(label_column = 2,3,4 reads all)."
    )


def test_layers_by_name(put):
    path = put("a.csv", "sid,word,pos,ner,fold\n1,Ann,N,B-P,x\n1,ran,V,O,x\n2,No,D,O,y\n")
    notes = []
    assert list(read_tagged(path, notes=notes)[0].data.tags) == ["ner"]
    assert "'word' was read as the token and 'ner' as its tag; others are ignored" in notes[0]
    items = read_tagged(path, layers=["pos", "ner"], where="fold=x")
    assert [item.data.tags for item in items] == [{"pos": ("N", "V"), "ner": ("B-P", "O")}]
    assert items[0].columns == {"sid": "1", "fold": "x"}
    with pytest.raises(DataError, match=r"no column 'upos'; it has 'sid', .* number from 1 to 5"):
        read_tagged(path, layers=["upos"])


@pytest.mark.parametrize(
    ("name", "content", "column"),
    [
        ("a.csv", table('{0},"{1}",{2}\n', "utterance,token,tag\n"), "utterance"),
        ("a.csv", table('{0},"{1}",{2}\n', "utterance,token,tag\n"), "1"),
        ("a.tsv", table("{0}\t{1}\t{2}\n", ""), "1"),
        ("a.tsv", table("{1}\t{2}\t{0}\n", ""), "-1"),
    ],
)
def test_the_column_of_sentences_may_be_named(put, name, content, column):
    path = put(name, content)
    assert shown(read_tagged(path, sentence_column=column)) == SENTENCES
    assert len(read_tagged(path, layers=("-1",))) == 1  # nothing else says where one ends
    with pytest.raises(DataError, match=r"no column 'turn'"):
        read_tagged(path, sentence_column="turn")
    path, notes = put("b.conll", lines("{0} {1}\n")), []
    assert shown(read_tagged(path, sentence_column="turn", notes=notes)) == SENTENCES
    assert notes == [f"{path}: has no column 'turn'; blank lines end sentences."]


def test_layers_of_json_lines(put):
    record = {"tokens": ["a", "b"], "pos": ["X", "Y"], "ner": [0, 1], "lang": "en", "n": [1, 2]}
    path, notes = put("a.jsonl", json.dumps(record)), []
    (item,) = read_tagged(path, notes=notes)
    assert item.data.tags == {"pos": ("X", "Y"), "ner": ("0", "1")}
    assert item.columns == {"lang": "en"}
    assert notes == [f"{path}: 'pos', 'ner' were read as layers of tags."]
    (item,) = read_tagged(path, layers=["n"], token_column="pos")
    assert (item.data.tokens, item.data.tags) == (("X", "Y"), {"n": ("1", "2")})


def test_conllu_layers_ranges_and_empty_nodes(put):
    rows = [
        "# sent_id = x1",
        "1-2\tvámonos\t_\t_\t_\t_\t_\t_\t_\t_",
        "1\tvamos\tir\tVERB\tV\tMood=Imp\t0\troot\t_\t_",
        "2\tnos\tnos\tPRON\tP\t_\t1\tobj\t_\t_",
        "2.1\te\te\tX\tX\t_\t_\t_\t_\t_",
    ]
    path, notes = put("a.conllu", "\n".join(rows)), []
    (item,) = read_tagged(path, layers=["upos", "feats", "deprel"], notes=notes)
    assert item.data.tokens == ("vamos", "nos")
    assert item.data.tags == {
        "upos": ("VERB", "PRON"),
        "feats": ("Mood=Imp", "_"),
        "deprel": ("root", "obj"),
    }
    assert item.columns == {"sent_id": "x1"}
    assert notes == [
        f"{path}: 1 ranges of several words and 1 empty nodes are no words of their own: skipped."
    ]
    with pytest.raises(ConfigError, match="label_column = 'head'; of CoNLL-U it is one of upos, x"):
        read_tagged(path, layers=["head"])


def test_tags_are_brought_to_one_scheme(put):
    path, notes = put("a.conll", CONLL.format("I-")), []
    (first, _) = read_tagged(path, notes=notes)
    assert first.data.tags["tag"] == ("B-PER", "I-PER", "O")
    assert "layer tag: its tags are IOB1 and were converted to BIO." in notes[1]
    fine = "a\tB-X\nb\tI-X\n\n" * 9
    path, notes = put("b.conll", fine + "c\tO\nd\tI-Y\n"), []
    assert read_tagged(path, notes=notes)[-1].data.tags["tag"] == ("O", "B-Y")
    assert notes == [
        "layer tag: a tag breaks BIO and was read as conlleval does, as if a segment began or "
        f"ended there: {path}, line 29: I-Y after O."
    ]


GOOD = "a\tX\nb\tY\n\n" * 12


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        (
            "a.tsv",
            "c\tX\nd\tX\tY\n",
            "line 38: has 3 columns, and most lines have 2; correct it. Its sentence begins in "
            "line 37.",
        ),
        ("a.tsv", "c\n", "line 37: has 1 column, and most lines have 2; correct it."),
        ("a.tsv", "c\tX\n#\n", "line 38: has 1 column"),
        ("a.tsv", "c\tX\nd\t\n", "line 38: 'd' has no tag (tag); give one."),
        ("a.tsv", "c\tX\n\u200a\tX\n", r"line 37: its token 2 is '\u200a'; each has a letter"),
        ("a.tsv", b"c\tX\nd\xe9\tX\n", "line 38: is not UTF-8 (byte 0xe9"),
    ],
)
def test_a_bad_sentence_is_named_and_left_out(put, name, row, message):
    row = row if isinstance(row, bytes) else row.encode()
    path, bad = put(name, GOOD.encode() + row + b"\nlast\tX\n"), BadItems()
    items = read_tagged(path, bad=bad)
    assert [item.data.tokens for item in items] == [("a", "b")] * 12 + [("last",)]
    (found,) = bad.messages.values()
    assert found.startswith(f"{path}, {message}")
    with pytest.raises(DataError, match=r"line 3[78]: "):
        read_tagged(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"tokens": ["a", "b"], "tags": ["X"]}', "has 2 tokens and 1 tags (tags); give a tag for"),
        ('{"tokens": "a b", "tags": ["X"]}', "'tokens' is of type str; give a list"),
        ('{"tokens": ["a"]}', "'tags' is missing; give a list"),
        ('{"tokens": ["a"], "tags": [null]}', "'tags' has an empty text or null"),
        ('{"tokens": [], "tags": []}', "has no token; leave it out."),
        ('{"tokens": ["a"', "is not valid JSON ("),
        ("[1]", "is not a JSON object"),
    ],
)
def test_bad_json_lines(put, line, message):
    path, bad = put("a.jsonl", objects("tokens", "tags") * 4 + line), BadItems()
    assert len(read_tagged(path, bad=bad)) == 12
    assert next(iter(bad.messages.values())).startswith(f"{path}, line 13: {message}")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2\tx\t_\tX\n", "has 4 columns, and CoNLL-U has 10"),
        ("x" + "\t_" * 9 + "\n", "its first column is 'x'; it is a number, 1-2 or 8.1."),
        ("1\tgo" + "\t_" * 8 + "\n", "'go' has no upos; give one."),
    ],
)
def test_bad_rows_of_conllu(put, row, message):
    path, bad = (
        put("a.conllu", conllu().replace("\n\n", "\n\n" * 2) * 4 + "\n" + row),
        BadItems(0.2),
    )
    assert read_tagged(path, bad=bad)
    assert message in next(iter(bad.messages.values()))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "a\n\nb\n", "no column has the tags; it has '1'; say which it is"),
        (
            "a.csv",
            "sid,token,x\n1,a,b\n1,b,c\n",
            "no column has the tags; it has 'sid', 'token', 'x'",
        ),
        ("a.csv", "token,tag\n", "has no token below its header"),
        ("a.jsonl", '{"text": "a b"}', "no key has the tokens; it has 'text'; write {\"tokens\""),
        ("a.jsonl", '{"tokens": ["a"]}', "no key has a list of tags beside 'tokens'"),
        ("a.jsonl", "x\ny\n", "2 of 2 items can't be used"),
        ("a.conll", "", "is empty"),
        ("a.conll", "-DOCSTART- X\n", "There is no sentence"),
    ],
)
def test_files_of_which_nothing_can_be_read(put, name, content, message):
    with pytest.raises(DataError) as caught:
        read_tagged(put(name, content), bad=BadItems(1))
    assert message in str(caught.value)


def test_a_file_that_is_missing_and_a_layout_that_is_none(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.conll: no such file"):
        read_tagged(tmp_path / "nothing.conll")
    with pytest.raises(ConfigError, match="layout = 'xml' of tagged texts; it is one of auto, c"):
        read_tagged(tmp_path / "a", layout="xml")


def test_one_long_sequence_is_told(put):
    path, notes = put("a.tsv", "a\tX\n" * 400), []
    assert len(read_tagged(path, notes=notes)) == 1
    assert notes[0].endswith(
        "it was read as one sequence of 400 tokens (id_column names such a column)."
    )


# -- without labels


@pytest.mark.parametrize(
    ("name", "content", "data"),
    [
        ("a.txt", "Ann sings .\nGo on !\n", ["Ann sings .", "Go on !"]),
        ("a.txt", "Ann\nsings\n\nGo\n", [("Ann", "sings"), ("Go",)]),
        ("a.txt", "one text of words\n\nand more\n", ["one text of words", "and more"]),
        ("a.tsv", "text\tlabel\nAnn sings\tx\nGo\ty\n", ["Ann sings", "Go"]),
        ("a.csv", "id,text\n1,Ann sings\n2,Go\n", ["Ann sings", "Go"]),
        ("a.jsonl", '{"tokens": ["Ann"]}\n{"tokens": ["Go", "on"]}', [("Ann",), ("Go", "on")]),
    ],
)
def test_texts_and_tokens_without_tags(put, name, content, data):
    items = read_tagged(put(name, content), labels=False)
    assert [getattr(item.data, "tokens", item.data) for item in items] == data


@pytest.mark.data
def test_english_ewt(real_data):
    items = read_tagged(real_data / "ud_english_ewt_pos" / "train.tsv", bad=BadItems(0))
    assert len(items) == 12_544
    assert sum(len(item.data.tokens) for item in items) == 204_577
    assert len({tag for item in items for tag in item.data.tags["tag"]}) == 17
