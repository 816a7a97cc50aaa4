"""A search for good settings of any task: trials in processes of their own, judged by validation.

`recurra.tuning.settings_search` is importable without loading torch or optuna.
"""

from typing import TYPE_CHECKING

from recurra.lazy import Getter, Lister, attach

if TYPE_CHECKING:
    from recurra.tuning.settings_search import SettingsSearch
    from recurra.tuning.trial_record import TrialRecord
    from recurra.tuning.tuning_run import Tuned, TuningProgress, tune

__all__ = ["SettingsSearch", "TrialRecord", "Tuned", "TuningProgress", "tune"]

__getattr__: Getter
__dir__: Lister
__getattr__, __dir__ = attach(
    __name__,
    {
        "SettingsSearch": "recurra.tuning.settings_search",
        "TrialRecord": "recurra.tuning.trial_record",
        "Tuned": "recurra.tuning.tuning_run",
        "TuningProgress": "recurra.tuning.tuning_run",
        "tune": "recurra.tuning.tuning_run",
    },
)
