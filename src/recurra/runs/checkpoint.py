"""Checkpoints: directories checkpoints/step-00000123/ that are whole, or not there at all.

    model.safetensors      the model's state_dict
    training.safetensors   optimiser; random states and carried state of truncated BPTT, by rank
    best.safetensors       the weights of the best validation; absent before the first
    state.json             everything that isn't a tensor
    manifest.json          the SHA-256 of each of these files

One is written under a temporary name, fsynced and renamed. The newest is the one resumed from;
where it is damaged, that is an error which names the remedy, never a silent step back.
"""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.errors import RunError
from recurra.files import digest, sync_folder, write_synced
from recurra.runs.saving import from_bytes, to_bytes

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Checkpoint", "newest", "save"]

_NAME = re.compile(r"step-(\d{8,})")
_LEFTOVER = ".tmp-"
_ALWAYS = {"model.safetensors", "training.safetensors", "state.json"}
_OPTIONAL = {"best.safetensors"}


@dataclass(frozen=True)
class Checkpoint:
    """Everything needed to resume after `step` steps as if training had never stopped."""

    step: int
    model: "dict[str, Tensor]"
    training: "dict[str, Tensor]"
    best: "dict[str, Tensor] | None"
    state: dict[str, Any]


def save(folder: Path, checkpoint: Checkpoint, *, keep: int = 2) -> None:
    """Add `checkpoint` to `folder` (of checkpoints) and keep the last `keep`.

    Raises `OSError` where it can't be written; what was there before stays as it was.
    """
    folder.mkdir(exist_ok=True)
    _remove_leftovers(folder)
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


def _remove_leftovers(folder: Path) -> None:
    """Delete what a save that was killed has left behind."""
    for leftover in folder.glob(f"{_LEFTOVER}*"):
        shutil.rmtree(leftover)


def _steps(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, the oldest first."""
    paths = folder.iterdir() if folder.is_dir() else iter(())
    named = [(int(match[1]), path) for path in paths if (match := _NAME.fullmatch(path.name))]
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
    """Advice on the newest of `steps`, which is damaged."""
    for older in reversed(steps[:-1]):
        try:
            _read(older)
        except RunError:
            continue
        damaged = " and ".join(path.name for path in steps[steps.index(older) + 1 :])
        return f"{older.name} is intact: delete {damaged} in {older.parent} to resume from there."
    return "No other checkpoint is intact: restore it from a copy, or train again with --overwrite."
