"""What a training keeps in its run: checkpoints, and the best weights as model.safetensors."""

from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import RunError
from recurra.training import checkpoint as checkpoints
from recurra.training import optim
from recurra.training.carried import tensors_of
from recurra.training.files import saving
from recurra.training.finite import require_finite
from recurra.training.run import Run
from recurra.training.state import LoopState, restore, take

__all__ = ["Keeper"]


class Keeper:
    """Saves and restores model, optimiser and the loop's state; `windows` is those per epoch."""

    def __init__(
        self, run: Run, model: nn.Module, optimizer: torch.optim.Optimizer, windows: int
    ) -> None:
        self._run, self._model, self._optimizer = run, model, optimizer
        self._windows = windows
        self._folder = run.path / "checkpoints"
        self._best: dict[str, Tensor] | None = None
        self._saved_at: int | None = None

    def begin(self, resume: bool) -> LoopState | None:
        """Restore the newest checkpoint and give its state; None where there is none.

        Raises `RunError` where there is one and `resume` is false, or where it is damaged.
        """
        found = checkpoints.newest(self._folder)
        if found is None:
            self._run.truncate_lines({})
            return None
        if not resume:
            raise RunError(
                f"{self._run.path} has a checkpoint of step {found.step}; go on from it with "
                "--resume (from Python: resume=True), or make a new run."
            )
        state = restore(found, self._model, self._optimizer, windows=self._windows)
        self._best, self._saved_at = found.best, found.step
        self._run.truncate_lines(_sizes(found.state))
        self._run.save_model(found.best or found.model)
        return state

    def save(self, state: LoopState) -> None:
        """Save a checkpoint, unless that of this step is there; `TrainingError` if not finite."""
        if state.step == self._saved_at:
            return
        others = [*optim.tensors(self._optimizer).values(), *tensors_of(state.carried)]
        require_finite(self._model, others, state.step)
        numbers = {"windows": self._windows, "lines_bytes": self._run.sync_lines()}
        checkpoint = take(self._model, self._optimizer, state, self._best, **numbers)
        with saving(f"The checkpoint of step {state.step}", self._run.path):
            checkpoints.save(self._folder, checkpoint)
        self._saved_at = state.step
        if self._best is None:
            self._run.save_model(checkpoint.model)

    def save_best(self, step: int) -> None:
        """Make the weights of now the run's model.safetensors until better ones come."""
        require_finite(self._model, [], step)
        weights = self._model.state_dict().items()
        self._best = {name: tensor.detach().cpu().clone() for name, tensor in weights}
        self._run.save_model(self._best)


def _sizes(state: dict[str, Any]) -> dict[str, int]:
    """The sizes of the files of lines at a checkpoint; older ones know of metrics.jsonl alone."""
    sizes: dict[str, int] = state.get("lines_bytes") or {"metrics.jsonl": state["metrics_bytes"]}
    return sizes
