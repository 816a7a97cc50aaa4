"""Two processes under torchrun: the same training as one, stopped together, resumed to the bit."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from training_ranks import outcome
from training_toys import contents, last_checkpoint, lines

from recurra.training import Run
from recurra.training.step import seed_of_rank

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of all trainings by two ranks, and what each rank saw."""
    folder = tmp_path_factory.mktemp("ranks")
    command = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = [str(FOLDER / "training_ranks.py"), str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", *command, *script], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return folder, [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


def seen(trained, name):
    """The outcome of a training, which all ranks agree on."""
    first, second = (rank[name] for rank in trained[1])
    assert first == second
    return first


def test_two_ranks_train_as_one_process(trained, tmp_path):
    folder, _ = trained
    alone = outcome(tmp_path)
    together = seen(trained, "alone")
    assert together["steps"] == alone["steps"] == 21
    assert together["best"] == pytest.approx(alone["best"], rel=1e-5)
    one, two = (Run.open(path).load_model() for path in (tmp_path, folder / "alone"))
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=1e-5, atol=1e-6)
    assert not torch.equal(one["extra"], torch.ones(()))


def test_metrics_are_of_all_tokens(trained, tmp_path):
    outcome(tmp_path)
    for one, two in zip(lines(tmp_path), lines(trained[0] / "alone"), strict=True):
        assert one.keys() == two.keys()
        for name in one.keys() - {"validation"}:
            assert two[name] == pytest.approx(one[name], rel=1e-5)


def test_rank_0_validates_for_all(trained):
    assert seen(trained, "alone")["best"]["rank"] == 0


def test_a_signal_to_one_rank_stops_all_saved(trained):
    stopped = seen(trained, "stopped")
    assert (stopped["stopped"], stopped["steps"]) == ("interrupted", 6)
    assert stopped["signal"] == signal.SIGTERM


def test_a_signal_in_a_validation_stops_all_before_it(trained):
    judged = seen(trained, "judged")
    assert (judged["stopped"], judged["steps"]) == ("interrupted", 10)
    assert judged["signal"] == signal.SIGINT


def test_a_resumed_training_has_the_same_bits(trained):
    folder, _ = trained
    assert seen(trained, "resumed") == seen(trained, "whole")
    assert contents(folder / "run") == contents(folder / "whole")
    assert lines(folder / "run") == lines(folder / "whole")


def test_each_rank_has_its_own_state_and_draws(trained):
    folder, _ = trained
    saved = last_checkpoint(folder / "run").parent / "step-00000020/training.safetensors"
    tensors = safetensors.torch.load_file(saved)
    assert tensors["rank0/carried/0"].shape == tensors["rank1/carried/0"].shape == (1, 2, 4)
    for name in ("random/cpu", "carried/0"):
        assert not torch.equal(tensors[f"rank0/{name}"], tensors[f"rank1/{name}"])


def test_an_error_of_rank_0_is_everybodys(trained):
    first, second = (rank["broken"] for rank in trained[1])
    assert first["error"] == "ZeroDivisionError"
    assert second["text"] == "Rank 0 failed: ZeroDivisionError: in the validation"


def test_a_bad_batch_of_one_rank_is_named_by_all(trained):
    spoilt = seen(trained, "spoilt")
    assert spoilt["error"] == "TrainingError"
    assert "At step 3 the loss is nan; the first tensor that went bad: the batch" in spoilt["text"]


def test_windows_that_can_not_be_divided(trained):
    refused = seen(trained, "undivided")
    assert refused["error"] == "ConfigError"
    assert refused["text"].startswith("Noise has no shard(rank, world)")


def test_a_run_that_is_there_is_refused_by_all(trained):
    assert seen(trained, "again")["error"] == "RunError"


def test_another_number_of_processes_is_not_resumed(trained):
    refused = outcome(trained[0] / "alone", resume=True)
    assert refused["error"] == "ConfigError"
    assert "saved by 2 processes, and this is one process; resume with as many" in refused["text"]


def test_gradients_are_watched_on_rank_0(trained, tmp_path):
    outcome(tmp_path)
    places = [
        [(line["step"], line["layer"]) for line in Run.open(path).gradients()]
        for path in (tmp_path, trained[0] / "alone")
    ]
    assert places[0] == places[1] != []


def test_seeds_of_ranks_follow_from_the_runs(monkeypatch):
    seeds = {}
    for rank in range(3):
        monkeypatch.setattr("recurra.runs.ranks.rank", lambda rank=rank: rank)
        seeds[rank] = [seed_of_rank(seed) for seed in (0, 1)]
    assert seeds[0] == [0, 1]
    assert len({seed for pair in seeds.values() for seed in pair}) == 6
