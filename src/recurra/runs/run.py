"""A run: the directory that holds everything one training produced."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.errors import RunError
from recurra.files import digest, write_atomic
from recurra.runs.saving import Lines, from_bytes, saving, to_bytes

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Run"]

_FORMAT = "recurra run 1"
_LINES = ("metrics.jsonl", "gradients.jsonl")
_CONTENTS = (
    "checkpoints",
    "members",
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
    """

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path = path
        self.config = config

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
        folder = Path(path)
        try:
            _make_room(folder, overwrite)
            run = cls(folder, {})
            _write_manifest(folder, {})
            run.save_config(config)
        except OSError as error:
            raise RunError(f"{folder} can't become a run: {error.strerror or error}.") from error
        return run

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Run":
        """Open the run at `path`; `RunError` where it is missing, no run, or damaged."""
        folder = Path(path)
        if not folder.exists():
            raise RunError(f"{folder} does not exist; a run is a directory that training made.")
        if not _is_run(folder):
            if folder.is_file():
                raise RunError(f"{folder} is a file and not a run, a directory; give that first.")
            raise RunError(f"{folder} is not a run, or its manifest.json is damaged.")
        config = json.loads(_read_verified(folder, "config.json"))
        return cls(folder, config)

    def save_config(self, config: dict[str, Any]) -> None:
        """Replace the run's configuration, to go on for more epochs, say."""
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
        # Whoever follows a training finds its metrics from the first checkpoint on.
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
        with saving(name, self.path):
            digests = _read_manifest(self.path)
            new = digest(data)
            # A crash may fall on either side of the rename, so the manifest knows both until after.
            _write_manifest(self.path, digests | {name: [*digests.get(name, []), new]})
            write_atomic(self.path / name, data)
            _write_manifest(self.path, digests | {name: [new]})


def _make_room(folder: Path, overwrite: bool) -> None:
    """Leave `folder` an existing directory without a run; never delete what isn't a run's."""
    folder.mkdir(parents=True, exist_ok=True)
    # What a run killed at its very first write has left is no reason to refuse.
    if {path.name for path in folder.iterdir()} <= {".manifest.json.tmp"}:
        return
    if not _is_run(folder):
        raise RunError(
            f"{folder} holds files that are not a run, and those are never deleted; choose another "
            "--out."
        )
    if not overwrite:
        raise RunError(
            f"{folder} holds another run; go on with it by --resume, replace it by --overwrite, "
            "or choose another --out (from Python: resume=True, overwrite=True, another path)."
        )
    # The manifest stays to the last: a run half deleted is still known as one.
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
    """The bytes of the file, once its digest is found in the manifest."""
    known = _read_manifest(folder).get(name, [])
    try:
        data = (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise RunError(f"{name} of {folder} is missing; {_REMEDY[name]}.") from error
    if digest(data) not in known:
        raise RunError(f"{name} of {folder} is damaged (wrong digest); {_REMEDY[name]}.")
    return data


_REMEDY = {
    "config.json": "restore it from a copy, or train again with --overwrite",
    "model.safetensors": "restore it from a copy, or go on with --resume, which writes it anew",
}
