"""Tiny texts and tiny runs on them, made once."""

import pytest

from recurra import LanguageModel

TEXT = "".join(f"the {n % 7} cats sat on mat {n}, and a dog ran\n" for n in range(60))

TINY = {"hidden": 8, "batch_size": 4, "window": 16, "epochs": 1, "dropout": 0.2, "seed": 3}


@pytest.fixture(scope="session")
def text_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "cats.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="session", params=["char", "byte", "word"])
def run(request, text_file, tmp_path_factory):
    """A trained run of each level."""
    out = tmp_path_factory.mktemp(request.param) / "run"
    LanguageModel(level=request.param, **TINY).fit(text_file, out=out)
    return out
