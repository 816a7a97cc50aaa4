"""Training: the loop, truncated BPTT, clipping, schedules, checkpoints, metrics, progress.

`fit` trains any `torch.nn.Module` on any windows with any loss; it knows nothing of a task. What it
produces lies in a run, a directory. `recurra.config.training_config` is importable without loading
torch.

>>> import tempfile, torch
>>> from recurra.training import Run, TrainingConfig, fit
>>> class Ones:
...     def __len__(self):
...         return 20
...     def window(self, epoch, index):
...         return torch.ones(8, 3)
>>> def loss(model, batch, state):
...     return model(batch).square().mean(), len(batch), None
>>> with tempfile.TemporaryDirectory() as folder:
...     run = Run.create(folder, {"task": "zero"})
...     result = fit(torch.nn.Linear(3, 1), Ones(), loss, config=TrainingConfig(epochs=2), run=run)
...     result.steps, result.stopped, sorted(run.load_model())
(40, 'finished', ['bias', 'weight'])
"""

from typing import TYPE_CHECKING

from recurra.lazy import Getter, Lister, attach

if TYPE_CHECKING:
    from recurra.config.options import config_from_mapping
    from recurra.config.training_config import Metric, TrainingConfig
    from recurra.nn.states import State
    from recurra.runs.run import Run
    from recurra.training.progress import RichProgress
    from recurra.training.protocols import Loss, Progress, Validate, Windows
    from recurra.training.training_loop import TrainingResult, fit

__all__ = [
    "Loss",
    "Metric",
    "Progress",
    "RichProgress",
    "Run",
    "State",
    "TrainingConfig",
    "TrainingResult",
    "Validate",
    "Windows",
    "config_from_mapping",
    "fit",
]

__getattr__: Getter
__dir__: Lister
__getattr__, __dir__ = attach(
    __name__,
    {
        "Loss": "recurra.training.protocols",
        "Metric": "recurra.config.training_config",
        "Progress": "recurra.training.protocols",
        "RichProgress": "recurra.training.progress",
        "Run": "recurra.runs.run",
        "State": "recurra.nn.states",
        "TrainingConfig": "recurra.config.training_config",
        "TrainingResult": "recurra.training.training_loop",
        "Validate": "recurra.training.protocols",
        "Windows": "recurra.training.protocols",
        "config_from_mapping": "recurra.config.options",
        "fit": "recurra.training.training_loop",
    },
)
