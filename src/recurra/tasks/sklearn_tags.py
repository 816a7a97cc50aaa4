"""What scikit-learn asks of an estimator, where scikit-learn itself asks."""

from typing import Any, Literal

__all__ = ["sklearn_tags"]


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
        target_tags=TargetTags(required=True),
        classifier_tags=ClassifierTags() if kind == "classifier" else None,
        regressor_tags=RegressorTags() if kind == "regressor" else None,
        input_tags=InputTags(two_d_array=True, three_d_array=True, string=True, allow_nan=True),
        non_deterministic=False,
    )
