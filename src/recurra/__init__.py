"""Recurra: recurrent neural networks on PyTorch. A cell is written once, as its equations.

`import recurra` is cheap: torch is loaded when a name that needs it is first used.
"""

from typing import TYPE_CHECKING

from recurra.lazy import Getter, Lister, attach

__version__ = "0.1.0"

if TYPE_CHECKING:
    from recurra import cells, errors, insight, nn, training
    from recurra.deploy import SessionPool, stream
    from recurra.insight import inspect
    from recurra.nn import accelerate
    from recurra.tasks.classify import Classifier
    from recurra.tasks.forecast import Forecaster
    from recurra.tasks.language import LanguageModel
    from recurra.tasks.registry import load
    from recurra.tasks.regress import Regressor
    from recurra.tasks.tag import Tagger
    from recurra.tasks.transcribe import Transcriber
    from recurra.tasks.translate import Translator
    from recurra.tuning import tune

__all__ = [
    "Classifier",
    "Forecaster",
    "LanguageModel",
    "Regressor",
    "SessionPool",
    "Tagger",
    "Transcriber",
    "Translator",
    "__version__",
    "accelerate",
    "cells",
    "errors",
    "insight",
    "inspect",
    "load",
    "nn",
    "stream",
    "training",
    "tune",
]

__getattr__: Getter
__dir__: Lister
__getattr__, __dir__ = attach(
    __name__,
    {
        "Classifier": "recurra.tasks.classify",
        "Forecaster": "recurra.tasks.forecast",
        "LanguageModel": "recurra.tasks.language",
        "Regressor": "recurra.tasks.regress",
        "SessionPool": "recurra.deploy.session_pool",
        "Tagger": "recurra.tasks.tag",
        "Transcriber": "recurra.tasks.transcribe",
        "Translator": "recurra.tasks.translate",
        "accelerate": "recurra.nn",
        "cells": "recurra.cells",
        "errors": "recurra.errors",
        "insight": "recurra.insight",
        "inspect": "recurra.insight.batch_inspection",
        "load": "recurra.tasks.registry",
        "nn": "recurra.nn",
        "stream": "recurra.deploy.module_session",
        "training": "recurra.training",
        "tune": "recurra.tuning",
    },
)
