"""A run: the directory that holds everything one training produced."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.errors import RunError
from recurra.files import digest, write_atomic
from recurra.runs import ranks
from recurra.runs.run_lock import LOCK_FILE, RunLock, check_free
from recurra.runs.saving import Lines, from_bytes, saving, to_bytes

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Run", "check_place"]

_FORMAT = "recurra run 1"
_LINES = ("metrics.jsonl", "gradients.jsonl")
_CONTENTS = (
    "checkpoints",
    "members",
    "stages",
    "tensorboard",
    "model.safetensors",
    *_LINES,
    "README.md",
    "report.html",
    "config.json",
)


class Run:
    """A directory with config.json, model.safetensors, checkpoints/, metrics.jsonl and README.md.

    manifest.json holds the SHA-256 of config.json and model.safetensors; both are checked before
    they are used. Every file is replaced atomically. Make one with `Run.create` or `Run.open`.

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
        anything else, always: only files of a run are ever deleted.
        """
        return cls.open(ranks.on_first(lambda: _create(Path(path), config, overwrite)))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Run":
        """Open the run at `path`; `RunError` where it is missing, not a run, or damaged."""
        folder = Path(path)
        if not folder.exists():
            raise RunError(f"{folder} does not exist; a run is a directory that training made.")
        if not _is_run(folder):
            if folder.is_file():
                raise RunError(f"{folder} is a file and not a run, a directory; give that first.")
            raise RunError(f"{folder} is not a run, or its manifest.json is damaged.")
        config = json.loads(_read_verified(folder, "config.json"))
        return _ReadRun(folder, config) if ranks.rank() else cls(folder, config)

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
            if is_new and json.loads(_read_verified(self.path, "config.json")) != self.config:
                raise RunError(
                    f"{self.path} was changed by another process in the meantime; open it again, "
                    "or choose another --out."
                )
            yield

    def save_config(self, config: dict[str, Any]) -> None:
        """Replace the run's configuration: with more epochs, say."""
        text = json.dumps(config, indent=2) + "\n"
        self._replace("config.json", text.encode())
        self.config = json.loads(text)

    def save_model(self, state_dict: "dict[str, Tensor]") -> None:
        """Replace model.safetensors; a crash at any instant leaves the old or the new, verified."""
        self._replace("model.safetensors", to_bytes(state_dict))

    def load_model(self) -> "dict[str, Tensor]":
        """The tensors of model.safetensors, on the CPU; `RunError` where missing or damaged."""
        data = _read_verified(self.path, "model.safetensors")
        return from_bytes(data, f"model.safetensors of {self.path}")

    def write_text(self, name: str, text: str) -> None:
        """Write the file `name` of the run, a model card or a report, atomically, as UTF-8."""
        with saving(name, self.path):
            write_atomic(self.path / name, text.encode())

    def log(self, line: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        self._lines("metrics.jsonl").append(line)

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl so far, in order; one still being written is left out."""
        return self._lines("metrics.jsonl").read()

    def log_gradients(self, line: dict[str, Any]) -> None:
        """Append one line to gradients.jsonl, which is there from the first such line."""
        self._lines("gradients.jsonl").append(line)

    def gradients(self) -> list[dict[str, Any]]:
        """The lines of gradients.jsonl: norms of dL/dh_t by layer and watched step."""
        return self._lines("gradients.jsonl").read()

    def sync_lines(self) -> dict[str, int]:
        """Wait until the disk has the files of lines; their sizes in bytes by name."""
        # metrics.jsonl is there from the first checkpoint on, for whoever follows a training.
        with saving("metrics.jsonl", self.path):
            (self.path / "metrics.jsonl").touch()
        return {name: self._lines(name).sync() for name in _LINES}

    def truncate_lines(self, sizes: Mapping[str, int]) -> None:
        """Cut the files of lines back to those sizes, by name; the others to nothing."""
        for name in _LINES:
            self._lines(name).truncate(sizes.get(name, 0))

    def _lines(self, name: str) -> Lines:
        return Lines(self.path, name)

    def _replace(self, name: str, data: bytes) -> None:
        with self._writing(), saving(name, self.path):
            digests = _read_manifest(self.path)
            new = digest(data)
            # A crash may fall on either side of the rename, so the manifest knows both until after.
            _write_manifest(self.path, digests | {name: [*digests.get(name, []), new]})
            write_atomic(self.path / name, data)
            _write_manifest(self.path, digests | {name: [new]})


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
    run = Run(folder, {})
    check_place(folder, overwrite=overwrite)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with run._lock:
            check_place(folder, overwrite=overwrite)  # another process may have come first
            _clear(folder)
            _write_manifest(folder, {})
            run.save_config(config)
    except OSError as error:
        raise RunError(f"{folder} can't become a run: {error.strerror or error}.") from error
    return str(folder)


def check_place(folder: Path, *, overwrite: bool) -> None:
    """Raise `RunError` where `folder` is a file, or holds what a new run may not replace."""
    for path in (folder, *folder.parents):
        if path.exists() and not path.is_dir():
            raise RunError(f"{path} is a file; a run is a directory: choose another --out.")
    if not folder.exists():
        return
    # A run that was killed at its first write has left no more than these.
    if {path.name for path in folder.iterdir()} <= {".manifest.json.tmp", LOCK_FILE}:
        return
    if not _is_run(folder):
        raise RunError(
            f"{folder} holds files that are not a run, and those are never deleted; choose another "
            "--out."
        )
    if not overwrite:
        raise RunError(
            f"{folder} holds another run; resume it with --resume, replace it with --overwrite, "
            "or choose another --out (from Python: resume=True, overwrite=True, another path)."
        )
    check_free(folder)


def _clear(folder: Path) -> None:
    """Delete the files of a run, and never any other; the manifest is left to be replaced."""
    # It stays to the last: a run half deleted is still known as one.
    for name in _CONTENTS:
        _delete(folder / name)
        _delete(folder / f".{name}.tmp")


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_run(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("format") == _FORMAT


def _read_manifest(folder: Path) -> dict[str, list[str]]:
    """The digests that each file may have: two between the writes of a save, one otherwise."""
    files = json.loads((folder / "manifest.json").read_bytes()).get("files")
    if not isinstance(files, dict):
        raise RunError(f"manifest.json of {folder} is damaged; restore it from a copy.")
    return files


def _write_manifest(folder: Path, files: dict[str, list[str]]) -> None:
    text = json.dumps({"format": _FORMAT, "files": files}, indent=2) + "\n"
    write_atomic(folder / "manifest.json", text.encode())


def _read_verified(folder: Path, name: str) -> bytes:
    """The bytes of the file, after its digest is verified against the manifest."""
    known = _read_manifest(folder).get(name, [])
    while True:
        try:
            data = (folder / name).read_bytes()
        except FileNotFoundError as error:
            raise RunError(f"{name} of {folder} is missing; {_REMEDY[name]}.") from error
        if digest(data) in known:
            return data
        # It may have been replaced since the manifest was read: then the manifest was, too.
        before, known = known, _read_manifest(folder).get(name, [])
        if known == before:
            raise RunError(f"{name} of {folder} is damaged (wrong digest); {_REMEDY[name]}.")


_REMEDY = {
    "config.json": "restore it from a copy, or train again with --overwrite",
    "model.safetensors": "restore it from a copy, or resume with --resume, which writes it again",
}
