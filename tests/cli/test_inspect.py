"""`recurra inspect` as a user calls it."""

import errno
import shutil

import pytest

from recurra import LanguageModel
from recurra.errors import RecurraWarning


def test_it_prints_layers_and_verdicts_and_adds_pictures(recurra, run):
    result = recurra("inspect", run, "--steps", 12, "--rows", 2)
    assert result.exit_code == 0, result.output
    for word in (
        "horizon",
        "radius",
        "exponent",
        "LSTM",
        "near their limits",
        "steps were clipped",
    ):
        assert word in result.stdout
    page = (run / "report.html").read_text()
    assert page.count("<h2>Gradient flow</h2>") == 1
    assert "<h2>Learning curves</h2>" in page


def test_another_text_and_another_page(recurra, run, here, undrawn):
    before = (run / "report.html").read_bytes()
    result = recurra("inspect", run, "cats.txt", "--steps", 15, "--out", "page.html")
    assert result.exit_code == 0, result.output
    assert "Pictures: page.html" in result.stdout
    assert "<h2>Dynamics</h2>" in (here / "page.html").read_text()
    assert (run / "report.html").read_bytes() == before


def test_from_python_it_gives_what_it_prints(run, undrawn):
    found, page = LanguageModel.load(run).inspect(rows=2, steps=12)
    assert page == run / "report.html"
    assert [layer.name for layer in found.layers] == ["recurrent"]
    assert found.verdicts


def test_resuming_the_training_keeps_the_inspection(run, tmp_path, undrawn):
    out = shutil.copytree(run, tmp_path / "copy")
    (out / "report.html").write_text("cut sh")
    with pytest.warns(RecurraWarning, match=r"report\.html is replaced: report\.html is cut short"):
        LanguageModel().fit(out=out, resume=True)
    LanguageModel.load(out).inspect(rows=1, steps=12)
    for steps in (22, 24):
        LanguageModel(max_steps=steps).fit(out=out, resume=True)
    page = (out / "report.html").read_text()
    assert f">{steps}</td>" in page
    assert page.count("<h2>Verdicts</h2>") == 1
    assert "<td>20 steps of training</td>" in page
    assert page.count("<h2>Gradient flow during training</h2>") == 1


def test_mistakes_are_told_in_a_line(recurra, run, here):
    (here / "short.txt").write_text("the cat")
    for words, told in [
        ((run, "short.txt"), "has 7 tokens, and 100 steps need 101; give a longer text"),
        ((run, "--rows", 0), "rows = 0, steps = 100; give 1 row or more"),
        (("nowhere",), "does not exist"),
    ]:
        result = recurra("inspect", *words)
        assert result.exit_code == 2
        assert told in result.stderr
        assert result.stderr.count("\n") == 1


DAMAGES = {
    "stray byte": lambda data: data[: len(data) // 2] + b"\xff" + data[len(data) // 2 :],
    "another byte": lambda data: data.replace(b"1", b"2", 1),
    "cut": lambda data: data[: len(data) // 2],
    "a line less": lambda data: data[: data.rindex(b"\n", 0, -1) + 1],
    "empty": lambda data: b"",
    "gone": None,
}


@pytest.fixture
def damaged(run, tmp_path):
    """`damaged(name, damage)`: a copy of the run in which a file is damaged."""

    def copy(name, damage):
        out = shutil.copytree(run, tmp_path / "damaged", dirs_exist_ok=True)
        data = (out / name).read_bytes()
        (out / name).unlink()
        if DAMAGES[damage] is not None:
            (out / name).write_bytes(DAMAGES[damage](data))
        return out

    return copy


def refused(result):
    """The one line that a command says which exits with 2."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["metrics.jsonl", "config.json", "model.safetensors"])
def test_a_damaged_file_is_named_with_its_remedy(recurra, damaged, undrawn, name, damage):
    told = refused(recurra("inspect", damaged(name, damage), "--rows", 1, "--steps", 12))
    assert f"{name} of" in told
    assert "restore it from a copy, or" in told


@pytest.mark.parametrize("damage", ["stray byte", "cut", "empty"])
@pytest.mark.parametrize("name", ["manifest.json", "report.html"])
def test_a_damaged_page_or_manifest_is_named(recurra, damaged, undrawn, name, damage):
    told = refused(recurra("inspect", damaged(name, damage), "--rows", 1, "--steps", 12))
    assert name in told


def test_damaged_lines_are_started_again_where_they_are_deleted(recurra, damaged, undrawn):
    name = "gradients.jsonl"
    out = damaged(name, "stray byte")
    words = ("train", "language", "--resume", "--out", out, "--max-steps", 24)
    assert "or delete it and resume with --resume" in refused(recurra(*words))
    (out / name).unlink()
    assert recurra(*words).exit_code == 0
    assert recurra("inspect", out, "--rows", 1, "--steps", 12).exit_code == 0


@pytest.mark.parametrize("line", ["3", "[]", '{"loss": 1.0}', '{"step": 21', "\xff"])
def test_a_foreign_line_at_the_end_is_told(recurra, run, tmp_path, undrawn, line):
    out = shutil.copytree(run, tmp_path / "copy")
    with (out / "metrics.jsonl").open("a", encoding="latin-1") as file:
        file.write(line + "\n")
    told = refused(recurra("inspect", out, "--rows", 1, "--steps", 12))
    assert "metrics.jsonl of" in told
    assert "cuts it back" in told
    assert recurra("train", "language", "--resume", "--out", out).exit_code == 0
    assert (out / "metrics.jsonl").read_bytes() == (run / "metrics.jsonl").read_bytes()


def test_a_run_on_a_disk_that_is_read_alone_needs_another_page(
    recurra, run, here, undrawn, monkeypatch
):
    from recurra import files

    write = files.write_synced

    def read_only(path, data):
        if path.is_relative_to(run):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        write(path, data)

    monkeypatch.setattr(files, "write_synced", read_only)
    words = ("inspect", run, "--rows", 1, "--steps", 12)
    told = refused(recurra(*words))
    assert f"{run}/report.html can't be written: Read-only file system; name another page" in told
    assert "--out" in told
    assert "--resume" not in told
    assert recurra(*words, "--out", "page.html").exit_code == 0
    assert (here / "page.html").exists()
    assert "give a page in a folder" in refused(recurra(*words, "--out", "nowhere/page.html"))


def test_remedies_are_tried(recurra, here):
    ill = ["--learning-rate", 5, "--hidden", 8, "--window", 16, "--max-steps", 8]
    result = recurra("train", "language", "cats.txt", "--out", "ill", *ill)
    assert result.exit_code == 0, result.output
    brief = ["--rows", 2, "--steps", 12, "--try-steps", 8, "--try-seeds", 1]
    result = recurra("inspect", "ill", "--try", *brief)
    assert result.exit_code == 0, result.output
    (row,) = [line for line in result.stdout.splitlines() if "--learning-rate 0.5" in line]
    assert "helps" in row
    result = recurra("inspect", "ill", *brief)
    assert result.exit_code == 2
    assert "need --try" in result.stderr


def test_without_remedies_nothing_is_tried(recurra, run, undrawn):
    result = recurra("inspect", run, "--rows", 2, "--steps", 12, "--try")
    assert result.exit_code == 0, result.output
    assert "Nothing to try" in result.stdout
