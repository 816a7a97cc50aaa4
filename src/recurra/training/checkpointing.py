"""Checkpoints: directories checkpoints/step-00000123/ that are whole, or not there at all.

    model.safetensors      the model's state_dict
    training.safetensors   optimiser, random states, carried state of truncated BPTT
    best.safetensors       the weights of the best validation; absent before the first
    state.json             everything that isn't a tensor
    manifest.json          the SHA-256 of each of these files

One is written under a temporary name, fsynced and renamed. The newest is the one resumed from;
where it is damaged, that is an error which names the remedy, never a silent step back.
"""

import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recurra.config.training import Metric
from recurra.errors import ConfigError, DataError, RunError
from recurra.files import digest, sync_folder, write_synced
from recurra.nn.states import flatten, tensors_of, unflatten
from recurra.runs import ranks
from recurra.runs.run import Run
from recurra.runs.saving import from_bytes, saving, to_bytes
from recurra.training import optim
from recurra.training.finite import require_finite
from recurra.training.loop_state import LoopState, Meter
from recurra.training.randomness import random_states, restore_random_states

__all__ = ["Checkpoint", "Keeper", "newest", "remove_leftovers", "restore", "save", "take"]


_NAME = re.compile(r"step-(\d{8,})")
_LEFTOVER = ".tmp-"
_ALWAYS = {"model.safetensors", "training.safetensors", "state.json"}
_OPTIONAL = {"best.safetensors"}


@dataclass(frozen=True)
class Checkpoint:
    """All that training needs to go on as if it had never stopped, after `step` steps."""

    step: int
    model: dict[str, Tensor]
    training: dict[str, Tensor]
    best: dict[str, Tensor] | None
    state: dict[str, Any]


def save(folder: Path, checkpoint: Checkpoint, *, keep: int = 2) -> None:
    """Add `checkpoint` to `folder` (of checkpoints) and keep the last `keep`.

    Raises `OSError` where it can't be written; what was there before stays as it was.
    """
    folder.mkdir(exist_ok=True)
    remove_leftovers(folder)
    target = folder / f"step-{checkpoint.step:08d}"
    temporary = folder / f"{_LEFTOVER}{target.name}"
    try:
        _write(temporary, checkpoint)
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(folder)
    for old in _steps(folder)[:-keep]:
        # Renamed first: an old checkpoint, too, is whole or not there.
        shutil.rmtree(old.rename(folder / f"{_LEFTOVER}{old.name}"))


def newest(folder: Path) -> Checkpoint | None:
    """The checkpoint to resume from, None where there is none; `RunError` where it is damaged."""
    steps = _steps(folder)
    if not steps:
        return None
    try:
        return _read(steps[-1])
    except RunError as error:
        raise RunError(f"{error} {_remedy(steps)}") from error


def remove_leftovers(folder: Path) -> None:
    """Delete what a save that was killed has left behind."""
    for leftover in folder.glob(f"{_LEFTOVER}*"):
        shutil.rmtree(leftover)


def _steps(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, the oldest first."""
    found = folder.iterdir() if folder.is_dir() else iter(())
    named = [(int(match[1]), path) for path in found if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(named)]


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    files = {
        "model.safetensors": to_bytes(checkpoint.model),
        "training.safetensors": to_bytes(checkpoint.training),
        "state.json": json.dumps(checkpoint.state, indent=2).encode(),
    }
    if checkpoint.best is not None:
        files["best.safetensors"] = to_bytes(checkpoint.best)
    digests = {name: digest(data) for name, data in files.items()}
    files["manifest.json"] = json.dumps({"step": checkpoint.step, "files": digests}).encode()
    folder.mkdir()
    for name, data in files.items():
        write_synced(folder / name, data)
    sync_folder(folder)


def _read(folder: Path) -> Checkpoint:
    """The checkpoint in `folder`, each file's digest verified before any is used."""
    manifest = _manifest(folder)
    files = {name: _verified(folder / name, known) for name, known in manifest["files"].items()}
    model, training, best = (
        from_bytes(files[name], str(folder / name)) if name in files else None
        for name in ("model.safetensors", "training.safetensors", "best.safetensors")
    )
    assert model is not None  # `_manifest` has seen to these two
    assert training is not None
    return Checkpoint(manifest["step"], model, training, best, json.loads(files["state.json"]))


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_bytes())
        names, step = set(manifest["files"]), manifest["step"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is missing or damaged.") from error
    if not _ALWAYS <= names <= _ALWAYS | _OPTIONAL or folder.name != f"step-{step:08d}":
        raise RunError(f"{path} is damaged.")
    return dict(manifest)


def _verified(path: Path, known: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path} can't be read: {error.strerror}.") from error
    if digest(data) != known:
        raise RunError(f"{path} is damaged (wrong digest).")
    return data


def _remedy(steps: list[Path]) -> str:
    """What to do about the damaged newest one of `steps`."""
    for older in reversed(steps[:-1]):
        try:
            _read(older)
        except RunError:
            continue
        damaged = " and ".join(path.name for path in steps[steps.index(older) + 1 :])
        return f"{older.name} is intact: delete {damaged} in {older.parent} to resume from there."
    return "No other checkpoint is intact: restore it from a copy, or train again with --overwrite."


class Keeper:
    """Saves and restores model, optimiser and the loop's state.

    `windows` is their number in an epoch, `metric` what chooses the best weights: a checkpoint with
    others isn't resumed.
    """

    def __init__(
        self,
        run: Run,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        windows: int,
        metric: Metric,
    ) -> None:
        self._run, self._model, self._optimizer = run, model, optimizer
        self._fixed: dict[str, Any] = {"windows": windows, "metric": str(metric)}
        self._folder = run.path / "checkpoints"
        self._best: dict[str, Tensor] | None = None
        self._saved_at: int | None = None

    def begin(self, resume: bool) -> LoopState | None:
        """Restore the newest checkpoint and give its state; None where there is none.

        Raises `RunError` where there is one and `resume` is false, or where it is damaged.
        """
        found = newest(self._folder)
        if found is None:
            self._run.truncate_lines({})
            return None
        if not resume:
            raise RunError(
                f"{self._run.path} has a checkpoint of step {found.step}; resume from it with "
                "--resume (from Python: resume=True), or make a new run."
            )
        state = restore(found, self._model, self._optimizer, **self._fixed)
        self._best, self._saved_at = found.best, found.step
        self._run.truncate_lines(found.state["lines_bytes"])
        self._run.save_model(found.best or found.model)
        return state

    def save(self, state: LoopState) -> None:
        """Save a checkpoint, unless that of this step is there; `TrainingError` if not finite."""
        if state.step == self._saved_at:
            return
        others = [*optim.tensors(self._optimizer).values(), *tensors_of(state.carried)]
        require_finite(self._model, others, state.step)
        numbers = {**self._fixed, "lines_bytes": self._run.sync_lines()}
        checkpoint = take(self._model, self._optimizer, state, self._best, **numbers)
        if ranks.rank() == 0:
            with saving(f"The checkpoint of step {state.step}", self._run.path):
                save(self._folder, checkpoint)
        self._saved_at = state.step
        if self._best is None:
            self._run.save_model(checkpoint.model)

    def save_best(self, step: int) -> None:
        """Make the weights of now the run's model.safetensors until better ones come."""
        require_finite(self._model, [], step)
        weights = self._model.state_dict().items()
        self._best = {name: tensor.detach().cpu().clone() for name, tensor in weights}
        self._run.save_model(self._best)


def take(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: LoopState,
    best: dict[str, Tensor] | None,
    **more: Any,
) -> Checkpoint:
    """A checkpoint of all that, of every rank; `more` is JSON kept beside it."""
    shape, carried = flatten(state.carried)
    own = _under("random", random_states()) | _under("carried", carried)
    training = _under("optimizer", optim.tensors(optimizer)) | _of_all_ranks(own)
    numbers = {name: value for name, value in vars(state).items() if name != "carried"}
    numbers |= {"meter": asdict(state.meter), "carried": ranks.share(shape), **more}
    return Checkpoint(state.step, model.state_dict(), training, best, numbers)


def restore(
    checkpoint: Checkpoint,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    windows: int,
    metric: str,
) -> LoopState:
    """Put model, optimiser and random states back, and give the loop's state.

    Raises `RunError` for another model, `DataError` where an epoch no longer has `windows` windows,
    `ConfigError` where another metric chose the best weights, or as many ranks weren't there.
    """
    numbers = dict(checkpoint.state)
    if numbers["windows"] != windows:
        raise DataError(
            f"The data has {windows} windows an epoch, but had {numbers['windows']} at the "
            "checkpoint; resume on the data that the run was started with."
        )
    if numbers["metric"] != metric:
        raise ConfigError(
            f"The run has chosen its best weights by {numbers['metric']}, and best is {metric} "
            "now; resume with the metric that it was started with."
        )
    if len(numbers["carried"]) != ranks.world_size():
        raise ConfigError(
            f"The checkpoint was saved by {_processes(len(numbers['carried']))}, and this is "
            f"{_processes(ranks.world_size())}; resume with as many as before: torchrun "
            f"--nproc-per-node {len(numbers['carried'])} on one machine."
        )
    try:
        model.load_state_dict(checkpoint.model)
    except RuntimeError as error:
        raise RunError(f"The checkpoint is of another model: {error}") from error
    optim.load_tensors(optimizer, _of("optimizer", checkpoint.training))
    own = _of(f"rank{ranks.rank()}", checkpoint.training)
    restore_random_states(_of("random", own))
    device = next(model.parameters()).device
    shape = numbers["carried"][ranks.rank()]
    numbers["carried"] = unflatten(shape, _of("carried", own), device)
    numbers["meter"] = Meter(**numbers["meter"])
    return LoopState(**{name: numbers[name] for name in vars(LoopState())})


def _processes(count: int) -> str:
    return "one process" if count == 1 else f"{count} processes"


def _of_all_ranks(own: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that each rank has of its own, as `rank0/...` and so on."""
    if ranks.world_size() == 1:
        return _under("rank0", own)
    parts = ranks.exchange(to_bytes(own))
    every = [from_bytes(data, f"The state of rank {rank}") for rank, data in enumerate(parts)]
    return {
        name: tensor
        for rank, tensors in enumerate(every)
        for name, tensor in _under(f"rank{rank}", tensors).items()
    }


def _under(group: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{group}/{name}": tensor for name, tensor in tensors.items()}


def _of(group: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"{group}/"
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
