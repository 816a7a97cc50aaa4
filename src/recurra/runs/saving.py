"""Files of a run: tensors, checkpoints, and errors that name the remedy.

torch is loaded where tensors are saved or read, and not before. Checkpoints are directories
checkpoints/step-00000123/ that are whole, or not there at all:

    model.safetensors      the model's state_dict
    training.safetensors   optimiser; random states and carried state of truncated BPTT, by rank
    best.safetensors       the weights of the best validation; absent before the first
    state.json             everything that isn't a tensor
    manifest.json          the SHA-256 of each of these files

One is written under a temporary name, fsynced and renamed. The newest is the one resumed from;
where it is damaged, that is an error which names the remedy, never a silent step back.
"""

import contextlib
import errno
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.errors import RunError, TrainingError
from recurra.files import digest, sync_folder, write_synced

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Checkpoint",
    "from_bytes",
    "is_part",
    "metadata_of",
    "newest",
    "prune",
    "retraining",
    "save",
    "saving",
    "to_bytes",
]

_NAME = re.compile(r"step-(\d{8,})")
_LEFTOVER = ".tmp-"
_KEPT = 2
_ALWAYS = {"model.safetensors", "training.safetensors", "state.json"}
_OPTIONAL = {"best.safetensors"}


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def saving(what: str, run: Path) -> Iterator[None]:
    """Turn an `OSError` while saving `what` into a `TrainingError` that says what is left."""
    try:
        yield
    except OSError as error:
        why = "the disk is full" if error.errno in _FULL else error.strerror or str(error)
        raise TrainingError(
            f"{what} of {run} could not be saved: {why}. {_intact(run)}; fix that, then resume "
            "with --resume (from Python: resume=True)."
        ) from error


def _intact(run: Path) -> str:
    saved = sorted((run / "checkpoints").glob("step-*"))
    if saved:
        return f"The checkpoint {saved[-1].name} is intact"
    if any(run.glob("members/*/checkpoints/step-*")):
        return "The checkpoints of its members are intact"
    return "No checkpoint is there yet"


def is_part(run: Path) -> bool:
    """Tell whether a run is a member of an ensemble, or a further stage, inside another run."""
    return run.absolute().parent.name in ("members", "stages")


def retraining(run: Path) -> str:
    """Advice on a run that can't be resumed: what deletes no more than has to be trained again."""
    if is_part(run):
        return f"delete {run} and resume with --resume, which trains that part again"
    return "train again into another --out, or with --overwrite in place of all that is there"


def to_bytes(tensors: "Mapping[str, Tensor]", metadata: Mapping[str, str] | None = None) -> bytes:
    """The tensors in the format of safetensors; any device, any strides, shared storage or not."""
    import safetensors.torch

    # Tied weights share storage, which safetensors refuses: each name gets a copy of its own.
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    return safetensors.torch.save(copies, None if metadata is None else dict(metadata))


def metadata_of(data: bytes) -> dict[str, str]:
    """The metadata that `to_bytes` was given; empty where `data` is not in its format."""
    try:
        head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except ValueError:
        return {}
    found = head.get("__metadata__", {}) if isinstance(head, dict) else {}
    return found if isinstance(found, dict) else {}


def from_bytes(data: bytes, where: str) -> "dict[str, Tensor]":
    """The tensors, on the CPU; `RunError` where `data` (found at `where`) isn't safetensors."""
    import safetensors.torch

    try:
        views = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise RunError(f"{where} is not a safetensors file: {error}.") from error
    # The views lie in `data` wherever the format put them: a copy is aligned, as bit-identical
    # arithmetic wants it, and writable.
    return {name: view.clone() for name, view in views.items()}


@dataclass(frozen=True)
class Checkpoint:
    """Everything needed to resume after `step` steps as if training had never stopped."""

    step: int
    model: "dict[str, Tensor]"
    training: "dict[str, Tensor]"
    best: "dict[str, Tensor] | None"
    state: dict[str, Any]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Add `checkpoint` to `folder` (of checkpoints) and keep the last two.

    Raises `OSError` where it can't be written; what was there before stays as it was.
    """
    folder.mkdir(exist_ok=True)
    prune(folder)
    target = folder / f"step-{checkpoint.step:08d}"
    temporary = folder / f"{_LEFTOVER}{target.name}"
    try:
        _write(temporary, checkpoint)
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(folder)
    prune(folder)


def prune(folder: Path) -> None:
    """Delete all checkpoints but the last two, and what a save that was killed has left behind."""
    for leftover in folder.glob(f"{_LEFTOVER}*"):
        shutil.rmtree(leftover)
    for old in _steps(folder)[:-_KEPT]:
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
        names, name = manifest["files"].keys(), f"step-{manifest['step']:08d}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path} is missing or damaged.") from error
    if not _ALWAYS <= names <= _ALWAYS | _OPTIONAL or folder.name != name:
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
    again = retraining(steps[-1].parents[1])
    return f"No other checkpoint is intact: restore it from a copy, or {again}."
