"""What data hold is seen from them, with their labels."""

import json

import numpy as np
import pandas
import pytest

from recurra.data.audio.sound import Sound, write_sound
from recurra.data.images.image_file import png_bytes
from recurra.data.transcripts.bad_items import BadItems
from recurra.errors import DataError
from recurra.tasks.classify.config import ClassifyConfig
from recurra.tasks.inputs.labelled import ANY_FORM, labelled_items, paired

TS = """@problemName waves
@timeStamps false
@univariate true
@classLabel true up down
@data
1,2,3:up
3,2,1:down
"""


def found(data, *, labels=True, where=None, **settings):
    """The kind of each item, its label, and the words of what was recognised."""
    config = ClassifyConfig(**settings)
    listed = labelled_items(config, data, where, ANY_FORM, None, labels=labels)
    return [(item.kind, item.text) for item in listed.items]


@pytest.fixture
def files(tmp_path):
    """A folder with a source of each kind, each with labels up and down."""
    noise = Sound(np.random.default_rng(0).normal(size=800).astype("f4") / 10, 8000)
    for label in ("up", "down"):
        for folder in ("sounds", "texts", "pictures"):
            (tmp_path / folder / label).mkdir(parents=True)
        write_sound(tmp_path / "sounds" / label / "1.wav", noise)
        (tmp_path / "texts" / label / "1.txt").write_text(f"a text that goes {label}")
        picture = np.ones((20, 60), np.float32)
        (tmp_path / "pictures" / label / "1.png").write_bytes(png_bytes(picture))
    (tmp_path / "manifest.csv").write_text(
        "path,label\nsounds/up/1.wav,up\nsounds/down/1.wav,down\n"
    )
    (tmp_path / "digits.csv").write_text("path,digit\nsounds/up/1.wav,up\nsounds/down/1.wav,down\n")
    (tmp_path / "table.csv").write_text("sentence,label\ngoes up,up\nsinks,down\n")
    (tmp_path / "reversed.csv").write_text("label,title,text\nup,a,goes up\ndown,b,sinks\n")
    (tmp_path / "steps.csv").write_text("id,time,a,label\n1,0,3,up\n1,1,4,up\n2,0,9,down\n")
    (tmp_path / "rows.tsv").write_text("up\t1\t2\t3\ndown\t3\t2\t1\n".replace("up", "1", 1))
    (tmp_path / "waves.ts").write_text(TS)
    strokes = [{"strokes": [[[0, 0], [5, n]]], "label": ("up", "down")[n]} for n in range(2)]
    (tmp_path / "ink.jsonl").write_text("\n".join(map(json.dumps, strokes)))
    rows = [{"text": "goes up", "label": "up"}, {"text": "sinks", "label": "down"}]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "fast.txt").write_text("__label__up it goes up\n__label__down it sinks\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sounds", "sound"),
        ("pictures", "image"),
        ("manifest.csv", "sound"),
        ("digits.csv", "sound"),
        ("ink.jsonl", "ink"),
        ("texts", "text"),
        ("table.csv", "text"),
        ("reversed.csv", "text"),
        ("texts.jsonl", "text"),
        ("fast.txt", "text"),
        ("steps.csv", "series"),
        ("waves.ts", "series"),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_files_and_folders(files, name, kind, listed):
    path = files / name
    pairs = found([str(path)] if listed else path)
    assert {each for each, _ in pairs} == {kind}
    assert {label for _, label in pairs} == {"up", "down"}


def test_rows_that_begin_with_the_label(files):
    (files / "rows.tsv").write_text("1\t1.5\t2\t3\n2\t3\t2.5\t1\n")
    assert found(files / "rows.tsv") == [("series", "1"), ("series", "2")]


def test_rows_are_chosen_and_another_column_named(files):
    assert found(files / "manifest.csv", where="label=up") == [("sound", "up")]
    (files / "two.csv").write_text("text,mood,source\nfine,good,a\nsad,bad,b\n")
    assert found(files / "two.csv", label_column="source")[1] == ("text", "b")


@pytest.mark.parametrize(
    ("contents", "kind"),
    [
        ([np.zeros((5, 2)), np.zeros((6, 2))], "series"),
        ([[1.0, 2.0, 3.0], [4.0, 5.0]], "series"),
        (np.zeros((2, 7, 3)), "series"),
        (["it goes up", "it sinks"], "text"),
    ],
)
def test_what_is_in_memory(contents, kind):
    assert found(paired(contents, ["up", 3])) == [(kind, "up"), (kind, "3")]
    assert found(contents, labels=False, input=kind) == [(kind, None)] * 2


def test_data_frames():
    steps = pandas.DataFrame({"id": [1, 1, 2], "a": [1.0, 2, 3], "label": ["x", "x", "y"]})
    assert found(steps) == [("series", "x"), ("series", "y")]
    texts = pandas.DataFrame({"text": ["one", "two"], "label": ["x", "y"]})
    assert found(texts) == [("text", "x"), ("text", "y")]


def test_several_labels_are_one_form(files):
    (files / "several.csv").write_text("text,label\nboth,a|b\nnone,[]\n")
    assert found(files / "several.csv", several=True) == [("text", '["a", "b"]'), ("text", "[]")]
    (files / "manifest.csv").write_text("path,label\nsounds/up/1.wav,a;b\nsounds/down/1.wav,b\n")
    wanted = [("sound", '["a", "b"]'), ("sound", '["b"]')]
    assert found(files / "manifest.csv", several=True, separator=";") == wanted


def test_a_label_that_is_missing_is_named_with_its_place(files):
    (files / "manifest.csv").write_text("path,label\nsounds/up/1.wav,\nsounds/down/1.wav,down\n")
    with pytest.raises(DataError, match=r"manifest.csv, line 2.*empty label"):
        found(files / "manifest.csv")
    bad = BadItems(0.9)
    config = ClassifyConfig()
    kept = labelled_items(config, files / "manifest.csv", None, ANY_FORM, bad).items
    assert [item.text for item in kept] == ["down"]
    assert len(bad) == 1
    (files / "texts" / "up" / "2.txt").write_text(" ")
    with pytest.raises(DataError, match="empty"):
        found(files / "texts")


@pytest.mark.data
def test_real_data(real_data):
    small = {"label_column": "digit", "root": "recordings"}
    for place, kind, settings in (
        ("japanese_vowels/JapaneseVowels_TRAIN.ts", "series", {}),
        ("ucr_small/GunPoint_TRAIN.ts", "series", {}),
        ("names_by_nationality", "text", {}),
        ("sst2/sst2.dev.txt", "text", {}),
        ("trec_questions/trec.test.txt", "text", {"encoding": "latin-1"}),
        ("fsdd/manifest.csv", "sound", small),
    ):
        kinds = {each for each, _ in found(real_data / place, **settings)}
        assert kinds == {kind}, place
