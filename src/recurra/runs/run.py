"""A run: the directory that holds everything one training produced."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.errors import RunError
from recurra.files import digest, write_atomic
from recurra.runs import ranks
from recurra.runs.lines import LINES, Extent, Lines
from recurra.runs.manifest import MANIFEST, Manifest, is_run, is_unmade, read_verified
from recurra.runs.run_lock import LOCK_FILE, RunLock, check_free
from recurra.runs.saving import from_bytes, is_part, retraining, saving, to_bytes

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Run", "check_place"]

_CONTENTS = (
    "checkpoints",
    "members",
    "stages",
    "tensorboard",
    "model.safetensors",
    *LINES,
    "README.md",
    "report.html",
    "config.json",
)


class Run:
    """A directory with config.json, model.safetensors, checkpoints/, metrics.jsonl and README.md.

    manifest.json holds the SHA-256 of config.json, of model.safetensors and of the lines recorded
    so far; they are checked before they are used. Every file is replaced atomically, and so is a
    run: it appears at once. Make one with `Run.create` or `Run.open`.

    One process at a time writes: `create`, `save_config`, `save_model` and `locked` raise
    `RunError`, naming the process, where another one trains in it. Reading is always possible. Of
    processes that train together rank 0 writes; `create` and `locked` are called by all of them.
    """

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path: Path = path
        self.config: dict[str, Any] = config
        self._lock = RunLock(path)
        self._locked = 0

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], config: dict[str, Any], *, overwrite: bool = False
    ) -> "Run":
        """Make the directory `path` a new run with `config`, which must be JSON.

        Raises `RunError` where `path` holds another run, unless `overwrite`; where it holds
        anything else, always: only files of a run are ever deleted. Killed at any instant, it
        leaves the old run, the new one, or room for one.
        """
        return cls.open(ranks.on_first(lambda: _create(Path(path), config, overwrite)))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Run":
        """Open the run at `path`; `RunError` where it is missing, not a run, or damaged."""
        folder = Path(path)
        if not folder.exists():
            raise RunError(f"{folder} does not exist; a run is a directory that training made.")
        if folder.is_file():
            raise RunError(f"{folder} is a file and not a run, a directory; give that first.")
        if cls.has_room(folder):
            raise RunError(
                f"{folder} is not a run yet; start its training without --resume (from Python: "
                "resume=False)."
            )
        if not is_run(folder):
            again = f", or {retraining(folder)}" if is_part(folder) else ""
            raise RunError(
                f"{folder} is not a run, or its {MANIFEST} is damaged; give a directory that "
                f"training made, or restore the file from a copy{again}."
            )
        config = json.loads(read_verified(folder, "config.json"))
        return _ReadRun(folder, config) if ranks.rank() else cls(folder, config)

    @staticmethod
    def has_room(path: str | os.PathLike[str]) -> bool:
        """Tell whether `create` would replace nothing at `path`.

        Nothing is there, or no more than the leftovers of a `create` that was killed.
        """
        folder = Path(path)
        if not folder.exists():
            return True
        return folder.is_dir() and (_is_empty(folder) or is_unmade(folder))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing to the run; it may be nested.

        Raises `RunError` where another process holds the lock, or has replaced the run since this
        object was made.
        """
        with contextlib.ExitStack() as stack:
            if not self._locked:
                ranks.on_first(lambda: self._enter(stack))
            self._locked += 1
            try:
                yield
            finally:
                self._locked -= 1

    def _enter(self, stack: contextlib.ExitStack) -> None:
        stack.enter_context(self._writing())

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        is_new = not self._lock.is_held
        with self._lock:
            if is_new and json.loads(read_verified(self.path, "config.json")) != self.config:
                raise RunError(
                    f"{self.path} was changed by another process in the meantime; open it again, "
                    "or choose another --out."
                )
            yield

    def save_config(self, config: dict[str, Any]) -> None:
        """Replace the run's configuration: with more epochs, say."""
        data = _as_json(config)
        self._replace("config.json", data)
        self.config = json.loads(data)

    def save_model(self, state_dict: "dict[str, Tensor]") -> None:
        """Replace model.safetensors; a crash at any instant leaves the old or the new, verified."""
        self._replace("model.safetensors", to_bytes(state_dict))

    def load_model(self) -> "dict[str, Tensor]":
        """The tensors of model.safetensors, on the CPU; `RunError` where missing or damaged."""
        data = read_verified(self.path, "model.safetensors")
        return from_bytes(data, f"model.safetensors of {self.path}")

    def model_digest(self) -> str:
        """The SHA-256 of model.safetensors; `RunError` where missing or damaged."""
        return digest(read_verified(self.path, "model.safetensors"))

    def write_text(self, name: str, text: str) -> None:
        """Write the file `name` of the run, a model card or a report, atomically, as UTF-8."""
        with saving(name, self.path):
            write_atomic(self.path / name, text.encode())

    def log(self, line: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl; it has its `step`."""
        Lines(self.path, "metrics.jsonl").append(line)

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl so far, in order; one still being written is left out."""
        return self._read_lines("metrics.jsonl")

    def log_gradients(self, line: dict[str, Any]) -> None:
        """Append one line to gradients.jsonl, which is there from the first such line."""
        Lines(self.path, "gradients.jsonl").append(line)

    def gradients(self) -> list[dict[str, Any]]:
        """The lines of gradients.jsonl: norms of dL/dh_t by layer and watched step."""
        return self._read_lines("gradients.jsonl")

    def sync_lines(self) -> dict[str, int]:
        """Wait until the disk has the files of lines, and record them; their bytes by name."""
        # metrics.jsonl is there from the first checkpoint on, for whoever follows a training.
        with saving("metrics.jsonl", self.path):
            (self.path / "metrics.jsonl").touch()
        extents = {name: Extent.of(Lines(self.path, name).synced()) for name in LINES}
        self._record(extents)
        return {name: extent.size for name, extent in extents.items()}

    def truncate_lines(self, sizes: Mapping[str, int]) -> None:
        """Cut the files of lines back to those bytes, by name; the others to nothing.

        Raises `RunError` where one is damaged. One that was deleted is started again, with a
        warning: then it may be shorter than at its checkpoint.
        """
        extents, recorded = {}, Manifest.read(self.path).lines
        for name in LINES:
            size, data = sizes.get(name, 0), b""
            if size and Lines(self.path, name).is_missing:
                Lines(self.path, name).warn_of_loss()
            elif size:
                data = read_verified(self.path, name)
                size = min(size, recorded[name].size if name in recorded else len(data))
            extents[name] = Extent.of(data[:size])
        # Recorded before they are cut: what is recorded is there at every instant.
        self._record(extents)
        for name, extent in extents.items():
            Lines(self.path, name).truncate(extent.size)

    def _read_lines(self, name: str) -> list[dict[str, Any]]:
        return Lines(self.path, name).parsed(read_verified(self.path, name))

    def _replace(self, name: str, data: bytes) -> None:
        with self._writing(), saving(name, self.path):
            manifest = Manifest.read(self.path)
            files, new = dict(manifest.files), digest(data)
            # A crash may fall on either side of the rename, so the manifest knows both until after.
            both = files | {name: [*files.get(name, []), new]}
            replace(manifest, files=both).write(self.path)
            write_atomic(self.path / name, data)
            replace(manifest, files=files | {name: [new]}).write(self.path)

    def _record(self, extents: Mapping[str, Extent]) -> None:
        with self._writing(), saving(MANIFEST, self.path):
            replace(Manifest.read(self.path), lines=extents).write(self.path)


class _ReadRun(Run):
    """A run as ranks other than the first have it: rank 0 writes, and they read."""

    def save_model(self, state_dict: "dict[str, Tensor]") -> None:
        """Leave it to rank 0."""

    def write_text(self, name: str, text: str) -> None:
        """Leave it to rank 0."""

    def log(self, line: dict[str, Any]) -> None:
        """Leave it to rank 0."""

    def log_gradients(self, line: dict[str, Any]) -> None:
        """Leave it to rank 0."""

    def sync_lines(self) -> dict[str, int]:
        """Leave it to rank 0."""
        return {}

    def truncate_lines(self, sizes: Mapping[str, int]) -> None:
        """Leave it to rank 0."""

    def _replace(self, name: str, data: bytes) -> None:
        """Leave it to rank 0."""


def _create(folder: Path, config: dict[str, Any], overwrite: bool) -> str:
    """Make `folder` a run, and give its path."""
    check_place(folder, overwrite=overwrite)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with RunLock(folder):
            check_place(folder, overwrite=overwrite)  # another process may have come first
            # From the first write on there is no run, and from the last on there is the new one.
            Manifest().write(folder)
            _clear(folder)
            data = _as_json(config)
            write_atomic(folder / "config.json", data)
            Manifest({"config.json": [digest(data)]}).write(folder)
    except OSError as error:
        raise RunError(f"{folder} can't become a run: {error.strerror or error}.") from error
    return str(folder)


def _as_json(config: dict[str, Any]) -> bytes:
    return (json.dumps(config, indent=2) + "\n").encode()


def _is_empty(folder: Path) -> bool:
    """Tell whether a directory holds no more than a run that was killed before its first write."""
    return {path.name for path in folder.iterdir()} <= {f".{MANIFEST}.tmp", LOCK_FILE}


def check_place(folder: Path, *, overwrite: bool) -> None:
    """Raise `RunError` where `folder` is a file, or holds what a new run may not replace."""
    for path in (folder, *folder.parents):
        if path.exists() and not path.is_dir():
            raise RunError(f"{path} is a file; a run is a directory: choose another --out.")
    if not folder.exists() or _is_empty(folder):
        return
    if not is_run(folder):
        raise RunError(
            f"{folder} holds files that are not a run, and those are never deleted; choose another "
            "--out."
        )
    if not overwrite and not is_unmade(folder):
        raise RunError(
            f"{folder} holds another run; resume it with --resume, replace it with --overwrite, "
            "or choose another --out (from Python: resume=True, overwrite=True, another path)."
        )
    check_free(folder)


def _clear(folder: Path) -> None:
    """Delete the files of a run, and never any other; the manifest is left to be replaced."""
    for name in _CONTENTS:
        _delete(folder / name)
        _delete(folder / f".{name}.tmp")


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
