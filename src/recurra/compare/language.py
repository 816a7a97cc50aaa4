"""Language modelling as a contest."""

import dataclasses
import functools
import math
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from recurra.compare.contests import Facts, Settings, Trained, Weights, farthest
from recurra.errors import CellError
from recurra.insight.flow import StateFlow, gradient_flow
from recurra.tasks.language import LanguageModel
from recurra.tasks.language.config import LanguageConfig, language_config
from recurra.tasks.language.corpus import Corpus, encode_corpus, read_texts
from recurra.tasks.language.model import LanguageNet, States, next_token_loss
from recurra.training import Progress
from recurra.training.optim import make_optimizer

__all__ = ["LanguageContest"]


class LanguageContest:
    """Quality is nats per token on the validation text, read as one stream by the best weights."""

    def facts(self, settings: Settings) -> Facts:
        """What the figures mean."""
        config = language_config(settings)
        uniform = math.log(len(_corpus(_texts_of(config)).vocabulary))
        return Facts(
            title=f"language by {config.level}",
            quality="validation nats",
            measure="loss",
            chance=uniform,
            loss="loss (nats)",
            chance_loss=uniform,
        )

    def count(self, settings: Settings) -> int | None:
        """Learnt numbers of the model, None for a hidden size that the cell can't have."""
        config = language_config(settings)
        vocabulary = _corpus(_texts_of(config)).vocabulary
        try:
            with torch.device("meta"):
                return LanguageNet(config, len(vocabulary)).parameter_count()
        except CellError:
            return None

    def check(self, settings: Settings) -> str:
        """Raise what building the model would; the digest of its cell's equations."""
        config = language_config(settings)
        vocabulary = _corpus(_texts_of(config)).vocabulary
        with torch.random.fork_rng(devices=[]):
            return LanguageNet(config, len(vocabulary)).cell.digest()

    def warm_up(self, settings: Settings) -> None:
        """One training step of one row, which loads libraries and compiles kernels."""
        config = dataclasses.replace(language_config(settings), batch_size=1)
        net, corpus = _begun(config)
        optimizer = make_optimizer(net, config)
        torch.autograd.backward(next_token_loss(net, corpus.train.window(0, 0), None)[0])
        optimizer.step()

    def train(self, settings: Settings, out: Path, resume: bool, progress: Progress) -> Trained:
        """Train into the run `out`; its validation is the test."""
        model = LanguageModel(**settings)
        result = model.fit(out=out, resume=resume, progress=progress)
        test = {} if model.validation is None else {"loss": model.validation["nats"]}
        return Trained(result, test, model.config.batch_size * model.config.window)

    def flow(self, settings: Settings, weights: Weights | None) -> StateFlow:
        """The gradient of the last token's loss in one window."""
        config = language_config(settings)
        net, corpus = _begun(config)
        if weights is not None:
            net.load_state_dict(weights)
        inputs, targets = corpus.train.window(0, 0)

        def loss(outputs: tuple[Tensor, States]) -> Tensor:
            return functional.cross_entropy(outputs[0][-1], targets[-1])

        return farthest(gradient_flow(net.eval(), inputs, loss=loss))


def _begun(config: LanguageConfig) -> tuple[LanguageNet, Corpus]:
    """The model as its training begins, and what it is trained on."""
    corpus = encode_corpus(read_texts(config), config)
    torch.manual_seed(config.seed)
    return LanguageNet(config, len(corpus.vocabulary)), corpus


_DECIDES = (
    "files",
    "valid",
    "valid_fraction",
    "level",
    "min_count",
    "max_words",
    "batch_size",
    "window",
)


def _texts_of(config: LanguageConfig) -> LanguageConfig:
    """Only what decides the corpus, so that one is read for all cells."""
    return LanguageConfig(**{name: getattr(config, name) for name in _DECIDES})


@functools.lru_cache(maxsize=4)
def _corpus(config: LanguageConfig) -> Corpus:
    return encode_corpus(read_texts(config), config)
