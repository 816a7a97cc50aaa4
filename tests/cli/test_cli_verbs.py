"""Each verb as a user calls it."""

import dataclasses
import json
import re

import pytest

from recurra import LanguageModel, __version__
from recurra.cells import CELLS
from recurra.tasks.registry import TASKS, config_of

SMALL = ("--hidden", 6, "--batch-size", 4, "--window", 16, "--max-steps", 20)

pytestmark = pytest.mark.usefixtures("undrawn")

CELL = """
from recurra.cells import Cell, tanh

class Mine(Cell):
    '''A cell of one's own.'''
    states = ("h",)

    def step(self, x, h, W, U, b):
        return tanh(W @ x + U @ h + b)
"""


def test_the_version(recurra):
    assert recurra("--version").output == f"recurra {__version__}\n"


def test_training_says_how_it_went_and_what_to_do_next(recurra):
    result = recurra("train", "language", "cats.txt", *SMALL, "--out", "runs/my cats")
    assert result.exit_code == 0, result.output
    for words in ("nats per token", "bits per character", "perplexity", "clipped"):
        assert words in result.stdout
    assert "recurra generate 'runs/my cats'" in result.stdout
    assert "A sample:" in result.stdout


def test_the_length_that_suits_the_text_is_told(recurra, here):
    small = [*SMALL[:-2], "--cell", "rnn", "--learning-rate", 1e-30]  # ends early
    result = recurra("train", "language", "cats.txt", *small, "--out", "r")
    assert result.exit_code == 0, result.output
    told = "up to 1,020 steps (an epoch has 68), fewer after 5 validations without improvement; --e"
    assert f"No length was given: {told}" in result.stderr.replace("\n", " ")
    assert "early" in result.stdout
    assert LanguageModel.load(here / "r").config.epochs is None


def test_resuming_what_has_ended_says_that_nothing_was_left(recurra, here):
    words = ("train", "language", "--out", "r")
    assert "Trained into r" in recurra(*words, "cats.txt", *SMALL).stdout
    before = (here / "r/model.safetensors").read_bytes()
    again = recurra(*words, "--resume")
    assert again.exit_code == 0, again.output
    assert "Note: Nothing was left to train: r had ended after 20 steps." in again.stderr
    assert "raise max_steps." in again.stderr
    assert "Trained before: r" in again.stdout
    assert (here / "r/model.safetensors").read_bytes() == before
    longer = recurra(*words, "--resume", "--max-steps", 25)
    assert "Trained into r" in longer.stdout
    assert "Nothing was left" not in longer.stderr


def test_the_command_line_wins_over_the_file(recurra, here):
    (here / "c.toml").write_text('hidden = 5\nlayers = 2\nlevel = "byte"\nmax_steps = 1\n')
    words = ("--config", "c.toml", "--hidden", 7, "--batch-size", 4, "--window", 16)
    assert recurra("train", "language", "cats.txt", *words, "--out", "r").exit_code == 0
    config = LanguageModel.load(here / "r").config
    assert (config.hidden, config.layers, config.level) == (7, 2, "byte")


def test_options_take_none_and_switches(recurra, here):
    words = ("--clip-norm", "none", "--tie-embeddings", "--weight-decay", 0.1)
    assert recurra("train", "language", "cats.txt", *SMALL, *words, "--out", "r").exit_code == 0
    config = LanguageModel.load(here / "r").config
    assert (config.clip_norm, config.tie_embeddings, config.weight_decay) == (None, True, 0.1)


def test_remedies_from_the_command_line(recurra, here):
    words = ("--zoneout", 0.1, "--weight-drop", 0.5, "--activation-penalty", 2)
    words += ("--learn-initial-state", "--init", "orthogonal, forget-bias:2")
    assert recurra("train", "language", "cats.txt", *SMALL, *words, "--out", "r").exit_code == 0
    config = LanguageModel.load(here / "r").config
    assert (config.zoneout, config.weight_drop, config.activation_penalty) == (0.1, 0.5, 2.0)
    assert (config.learn_initial_state, config.init) == (True, "orthogonal, forget-bias:2")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--init", "chrono"), "a text has no length that chrono could take"),
        (("--zoneout", 2), "zoneout = 2.0; it must be a number at least 0 and at most 0.95"),
        (("--cell", "rnn", "--init", "chrono:9"), "RNN has no forget gate"),
        (("--cell", "rnn", "--recurrent-dropout", 0.1), "RNN has no candidate"),
    ],
)
def test_a_remedy_that_cannot_be(recurra, words, part):
    result = recurra("train", "language", "cats.txt", *SMALL, *words, "--out", "r")
    assert result.exit_code == 2
    assert part in " ".join(result.stderr.split())


def test_options_are_listed_by_what_they_are_of(recurra):
    text = recurra("train", "language", "--help-all").stdout
    titles = ("Options:", "Data:", "Model:", "Recurrent layers:", "Ensembles and", "Training:")
    places = [text.index(f"\n{title}") for title in titles]
    assert places == sorted(places)
    assert places[0] < text.index("--out RUN") < places[1] < text.index("--level") < places[2]
    assert places[2] < text.index("--tie-embeddings") < places[3]
    assert places[3] < text.index("--cell") < text.index("--zoneout") < places[4]
    assert places[4] < text.index("--from") < places[5] < text.index("--clip-norm")


@pytest.mark.parametrize("task", TASKS)
def test_every_setting_that_a_task_takes_is_an_option(recurra, task):
    config = config_of(task)
    shown, every = (
        set(re.findall(r"(?<= )--[a-z-]+", recurra("train", task, word).stdout))
        for word in ("--help", "--help-all")
    )
    for field in dataclasses.fields(config):
        name = field.metadata.get("flag", f"--{field.name.replace('_', '-')}")
        assert (name in every) == (field.name not in {"data", *config.inapplicable}), name
        assert (name in shown) == (field.name in config.usual), name
    text = " ".join(recurra("train", task, "--help").stdout.split())
    (more,) = re.findall(r"this message with the (\d+) further", text)
    switches = {name for name in every - shown if name.startswith("--no-")}
    assert int(more) == len(every - shown - switches)


def test_the_text_may_be_left_out(recurra, here):
    words = ("--max-steps", 1, "--hidden", 4, "--valid-fraction", 0.0005)
    assert recurra("train", "language", *words, "--out", "r").exit_code == 0
    assert "pydoc_data.topics" in (here / "r/README.md").read_text()


def test_a_cell_of_ones_own_in_the_current_directory(recurra, here):
    (here / "ownpkg").mkdir()
    (here / "ownpkg" / "own_cell.py").write_text(CELL)
    name = "ownpkg.own_cell:Mine"
    assert (
        recurra("train", "language", "cats.txt", *SMALL, "--cell", name, "--out", "r").exit_code
        == 0
    )
    assert recurra("generate", "r", "--length", 5).exit_code == 0
    assert "tanh(W xₜ" in recurra("cells", name).output


def test_evaluate_prints_what_python_gives(recurra, run):
    numbers = LanguageModel.load(run).evaluate("cats.txt")
    shown = recurra("evaluate", run, "cats.txt").output
    assert f"{numbers['nats']:.4f}" in shown
    assert f"{numbers['bits_per_character']:.4f}" in shown
    printed = json.loads(recurra("evaluate", run, "cats.txt", "--json").output)
    assert printed == {"file": "cats.txt", **numbers}


def test_evaluate_without_a_file_reads_the_validation_text(recurra, run):
    printed = json.loads(recurra("evaluate", run, "--json").output)
    assert printed == {"file": str(run), **LanguageModel.load(run).evaluate()}
    assert f"The data of {run}:" in recurra("evaluate", run).output


def test_a_file_that_is_missing_is_not_read_as_a_text(recurra, run):
    for verb in ("evaluate", "inspect"):
        result = recurra(verb, run, "the cats sat.txt")
        assert result.exit_code == 2
        assert "the cats sat.txt: no such file" in result.stderr


def test_runs_of_every_task_are_evaluated_with_their_own_options(recurra, run, here):
    words = ("--length", 8, "--hidden", 3, "--max-steps", 2, "--test-sequences", 4)
    assert recurra("train", "long-range", *words, "--out", "adding").exit_code == 0
    assert "test loss" in recurra("evaluate", "adding").output
    assert "horizon" in recurra("inspect", "adding").output
    for path in (run, "adding"):
        text = recurra("evaluate", path, "--help").output
        assert "Options of the run's task" not in text
        result = recurra("evaluate", path, "--windows", 2)
        assert result.exit_code == 2
        assert "There is no option --windows" in result.stderr


def test_generate_prints_the_prompt_and_what_follows(recurra, run):
    words = ("--prompt", "the ", "--length", 30, "--seed", 4, "--temperature", 0.5, "--top-k", 5)
    expected = LanguageModel.load(run).generate("the ", length=30, seed=4, temperature=0.5, top_k=5)
    assert recurra("generate", run, *words).stdout == f"the {expected}\n"


def test_cells_lists_every_cell_in_a_line(recurra):
    lines = recurra("cells").output.splitlines()
    assert [line.split()[0] for line in lines[: len(CELLS)]] == list(CELLS)
    assert all(len(line.split()) > 3 for line in lines[: len(CELLS)])


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_is_shown_with_its_source(recurra, name):
    shown = recurra("cells", name).output
    assert CELLS[name].source in shown
    assert all(line in shown for line in CELLS[name].show().splitlines())
    for param in CELLS[name].graph().params:
        assert f"\n    {param.name} " in shown


def test_one_cell_is_typeset(recurra):
    shown = recurra("cells", "lstm").output
    assert "cₜ = fₜ ⊙ cₜ₋₁ + iₜ ⊙ gₜ" in shown
    assert "hidden_size x input_size" in shown
