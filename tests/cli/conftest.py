"""The command line, called in this process or in one of its own."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from recurra import LanguageModel
from recurra.cli import main

TEXT = "".join(f"the {n % 7} cats sat on mat {n}, and a dog ran\n" for n in range(120))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current directory with a text in it; what the command line adds to sys.path goes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "cats.txt").write_text(TEXT)
    return tmp_path


@pytest.fixture
def recurra(here):
    """`recurra("cells", "lstm")` in this process: exit_code, output, stdout, stderr."""

    def call(*words):
        return CliRunner().invoke(main, [str(word) for word in words])

    return call


@pytest.fixture
def process(here):
    """`process("train", ...)`: the same in a process of its own, started and not waited for.

    Those that still run after the test, as when it fails, are killed.
    """
    started = []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}

    def start(*words, python=("-m", "recurra"), encoding="utf-8"):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": encoding}
        command = [sys.executable, *python, *map(str, words)]
        variables = {**environment, "PYTHONIOENCODING": encoding}
        started.append(subprocess.Popen(command, cwd=here, env=variables, **pipes))
        return started[-1]

    yield start
    for left in started:
        if left.poll() is None:
            left.kill()
            left.communicate()


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A small trained run."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "cats.txt").write_text(TEXT)
    model = LanguageModel(hidden=6, batch_size=4, window=16, max_steps=20)
    model.fit(folder / "cats.txt", out=folder / "run")
    return folder / "run"
