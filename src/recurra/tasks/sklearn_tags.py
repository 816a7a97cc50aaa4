"""What scikit-learn asks of an estimator, where scikit-learn itself asks."""

import functools
import sys
from typing import Any, Literal

from recurra.errors import RunError

__all__ = ["not_trained", "sklearn_tags"]


def not_trained(text: str) -> RunError:
    """The error of a model without training, scikit-learn's own as well where that is loaded."""
    module = sys.modules.get("sklearn.exceptions")
    return RunError(text) if module is None else _joined(module.NotFittedError)(text)


@functools.cache
def _joined(error: type[Exception]) -> type[RunError]:
    return type("NotTrainedError", (RunError, error), {"__module__": __name__})


def sklearn_tags(kind: Literal["classifier", "regressor"] | None) -> Any:
    """The tags of an estimator of sequences: scikit-learn calls this, so it is installed.

    None: what it answers is neither a class nor a number of a whole sequence.
    """
    from sklearn.utils import (  # type: ignore[import-untyped]
        ClassifierTags,
        InputTags,
        RegressorTags,
        Tags,
        TargetTags,
    )

    return Tags(
        estimator_type=kind,
        target_tags=TargetTags(required=True, multi_output=kind == "regressor"),
        classifier_tags=ClassifierTags() if kind == "classifier" else None,
        regressor_tags=RegressorTags() if kind == "regressor" else None,
        input_tags=InputTags(two_d_array=True, three_d_array=True, string=True, allow_nan=True),
        non_deterministic=False,
    )
