"""Task: the parts of a job that only the job itself knows; everything else is the estimator's.

A task is read from top to bottom in the order in which data flow:

    read -> context_of -> build -> windows -> loss -> validation -> complete -> evaluate
         -> probe -> facts -> session

Each has a default where a plain task needs nothing else. `tasks/estimator.py` calls them.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from recurra.config.task_config import Published, TaskConfig
from recurra.errors import ConfigError, RecurraWarning
from recurra.nn.states import State
from recurra.reports import Headline, Mark, Section
from recurra.tasks.dialogue import Dialogues
from recurra.tasks.exportable import Exportable
from recurra.tasks.session import Session
from recurra.training import Metric, TrainingResult, Validate, Windows

__all__ = [
    "Answer",
    "Ensemble",
    "Evaluation",
    "Facts",
    "Figures",
    "Probe",
    "Retrain",
    "Source",
    "Task",
]

Config = TypeVar("Config", bound=TaskConfig)
Data = TypeVar("Data")
Product = TypeVar("Product")


@dataclass(frozen=True)
class Source:
    """A part of the data: its name, where it lies (None: in memory), and its SHA-256."""

    name: str
    path: str | None
    sha256: str


@dataclass(frozen=True, eq=False)
class Evaluation(Mapping[str, float]):
    """Numbers by name, and how they are shown: `sections` of text and tables, then `remarks`."""

    numbers: Mapping[str, float]
    sections: Sequence[Section] = field(default=(), repr=False)
    remarks: Sequence[str] = field(default=(), repr=False)

    def __getitem__(self, name: str) -> float:
        return self.numbers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def to_json(self) -> dict[str, Any]:
        """The numbers, null for one that is undefined, and the remarks if there are any."""
        numbers: dict[str, Any] = {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in self.numbers.items()
        }
        return numbers | ({"remarks": list(self.remarks)} if self.remarks else {})


class Answer(Protocol):
    """Computes a model's output probabilities (T, K) and its likeliest answers for one row."""

    def __call__(self, model: nn.Module) -> tuple[Tensor, Sequence[str]]: ...


@dataclass(frozen=True)
class Probe:
    """Input for an inspection: `model(inputs)` is run, and `loss(output)` followed backwards.

    `loss` gives one number or one for each step, (T,); `judges` tells whether it is the task's own,
    so that it says how good the model is. `labels` name the steps of the first row;
    `answer`, if there is one, gives what the model answers at each of them.
    """

    inputs: Any
    loss: Callable[[Any], Tensor]
    labels: Sequence[str] = ()
    answer: Answer | None = None
    judges: bool = True


@dataclass(frozen=True)
class Facts:
    """Sections that the model card and the report show, and commands for the run's next steps.

    `pictures` are sections for the report alone, `first` the one that stands before the curves of
    training; `pipeline` is what model hubs call the kind of
    model, "" where they have no name for it.
    """

    title: str
    sections: Sequence[Section]
    use: Sequence[str] = ()
    first: Sequence[Section] = ()
    pictures: Sequence[Section] = ()
    pipeline: str = ""


@dataclass(frozen=True)
class Figures:
    """Names of a task's figures, and figures to hold them against, for comparisons.

    `measure` is the number of `Task.test` that ranks cells, `quality` its name in words. `chance`
    is the figure, of `measure`, that knowing nothing of the inputs gives, and `chance_loss` the
    loss of that; `loss` names the learning curve.
    """

    title: str
    quality: str
    measure: str
    chance: float | None
    loss: str
    chance_loss: float | None
    higher_is_better: bool = False
    published: tuple[Published, ...] = ()

    def mark(self, name: str, value: float, source: str = "") -> Mark:
        """A figure of this measure on a scale."""
        text = f"{100 * value:.1f} %" if self.measure == "accuracy" else ""
        return Mark(name, value, source, text)

    def headline(self, value: float, *meaning: str, baselines: Sequence[Mark] = ()) -> Headline:
        """The figure of a run beside chance, baselines and published figures."""
        chance = [] if self.chance is None else [self.mark("chance", self.chance)]
        published = [self.mark(p.name, p.value, p.source) for p in self.published]
        return Headline(
            self.quality,
            self.mark("this run", value),
            [*chance, *baselines, *published],
            self.higher_is_better,
            meaning=meaning,
        )


class Retrain(Protocol):
    """Trains every model once more, as a further stage of the run, from the weights it has."""

    def __call__(
        self, stage: str, models: Sequence[nn.Module], tasks: Sequence[Task[Any, Any, Any]]
    ) -> tuple[TrainingResult, ...]: ...


class Ensemble(nn.Module):
    """Several models as one: each keeps a state of its own, and their outputs are joined.

    `join` gets the outputs of all; a model whose forward gives (output, state) keeps doing so.
    """

    def __init__(
        self, models: Sequence[nn.Module], join: Callable[[Sequence[Tensor]], Tensor]
    ) -> None:
        super().__init__()
        self.models: nn.ModuleList = nn.ModuleList(models)
        self.train(models[0].training)
        self.join: Callable[[Sequence[Tensor]], Tensor] = join

    def forward(self, inputs: Any, *state: Any) -> Any:
        if state:
            states = state[0] if state[0] is not None else [None] * len(self.models)
            found = [model(inputs, own) for model, own in zip(self.models, states, strict=True)]
        else:
            found = [model(inputs) for model in self.models]
        if isinstance(found[0], tuple):
            return self.join([output for output, _ in found]), tuple(own for _, own in found)
        return self.join(found)


class Task(ABC, Generic[Config, Data, Product]):
    """A job: its data, model, loss, figures and streams, under a configuration.

    `context` is what must travel with the weights (a vocabulary, say): JSON, None until it is
    known. A `Product` is what trained models become: by default one module.
    """

    configuration: ClassVar[type[TaskConfig]]
    estimator: ClassVar[str] = ""
    """The task's own estimator, as package.module:Class; empty: a plain one."""

    metric: ClassVar[Metric] = Metric()
    """The number of `validation` that chooses the best weights, and its direction."""

    warning: ClassVar[type[Warning]] = RecurraWarning
    """The category of the warnings about data."""

    unit: ClassVar[str] = "tokens"
    """The unit of the loss's mean, as progress shows it."""

    def __init__(self, config: Config, context: Mapping[str, Any] | None = None) -> None:
        self.config = config
        self.context: Mapping[str, Any] = {} if context is None else context

    @classmethod
    def name(cls) -> str:
        """The name in config.json: that of the configuration, else package.module:Class."""
        return cls.configuration.task or f"{cls.__module__}:{cls.__qualname__}"

    def member(self, number: int) -> Self:
        """The task of one member of an ensemble: the same with a seed of its own."""
        seed = self.config.seed + number
        return type(self)(dataclasses.replace(self.config, seed=seed, ensemble=1), self.context)

    def settled(self, given: Iterable[str], old: Mapping[str, Any] | None) -> Self:
        """The task with settings that decide whether weights fit which are there already.

        `given` are the names of settings that may not be changed, `old` is the config.json of a run
        to start from. ConfigError where they contradict one another.
        """
        if old is None or old["task"] != self.name():
            return self
        names = set(self.config.shaping) - set(given)
        taken = {name: old["settings"][name] for name in names & old["settings"].keys()}
        return type(self)(dataclasses.replace(self.config, **taken), self.context)

    @abstractmethod
    def read(self, data: Any = None, **others: Any) -> Data:
        """Read the data, given or those that the configuration names.

        Raises DataError, with file and line, for data that can't be used.
        """

    def read_measured(self, data: Any, **others: Any) -> Data:
        """Read data to be measured by a trained model, rather than to train on.

        `others` are the options of the evaluation.
        """
        return self.read(data, **others)

    def notes(self, data: Data) -> Sequence[str]:
        """Sentences for the user about data that are used all the same: a warning each."""
        return ()

    def record(self, config: Config, data: Data) -> Config:
        """The configuration to keep in a run: with absolute paths, so that it can be read again."""
        return config

    def decided(self, data: Data, given: Iterable[str], say: Callable[[str], None]) -> Self:
        """The task with settings that the data decide; `given` are the names of those that may not
        be changed, `say` shows a sentence to the user, where somebody watches.
        """
        return self

    @abstractmethod
    def sources(self, data: Data) -> list[Source]:
        """The parts of the data, which a resumed run must find unchanged."""

    def context_of(self, data: Data) -> dict[str, Any]:
        """Whatever of the data must travel with the weights, as JSON."""
        return {}

    def grown(self, old: Mapping[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        """The context of a warm start: that of the old run, with what is new added at its end."""
        return new

    @abstractmethod
    def build(self) -> nn.Module:
        """The untrained model, its weights drawn from torch's random numbers."""

    def translated(
        self, old: Mapping[str, Any], weights: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """The weights of a run to start from by the names that this task's model has for them."""
        return weights

    def primed(self, model: nn.Module, data: Data) -> str | None:
        """Set weights that begin with what is known of the data; a sentence says which, if any."""
        return None

    @abstractmethod
    def windows(self, data: Data) -> Windows:
        """The training batches; DataError where there are none."""

    def suited(self, windows: Windows) -> Config:
        """The settings of a training on these windows: where no length is given, one for them."""
        return self.config

    @abstractmethod
    def loss(self, model: nn.Module, batch: Any, state: State) -> tuple[Tensor, int, State]:
        """Mean loss of a batch, how many targets it is the mean of, and the state to carry on."""

    def validation(self, data: Data) -> Validate | None:
        """The numbers that choose the best weights, measured while training; None: none."""
        return None

    def join(self, outputs: Sequence[Tensor]) -> Tensor:
        """The output of an ensemble from those of its members: their mean."""
        return torch.stack(list(outputs)).mean(0)

    def complete(self, models: Sequence[nn.Module], data: Data, retrain: Retrain) -> Product:
        """The product of trained models; it may train them further by `retrain`."""
        return self.restore(models, {}, {})

    def artefacts(self, product: Product) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and JSON that a run keeps of the product beside the models' weights."""
        return {}, {}

    def models(self, product: Product) -> Sequence[nn.Module]:
        """The modules whose weights a run keeps, one a member."""
        assert isinstance(product, nn.Module)
        return list(product.models) if isinstance(product, Ensemble) else [product]

    def restore(
        self, models: Sequence[nn.Module], tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
    ) -> Product:
        """The product from what `artefacts` gave; RunError where the run was not completed."""
        product: Any = models[0] if len(models) == 1 else Ensemble(models, self.join)
        return product  # type: ignore[no-any-return]

    def held_out(self, product: Product, data: Data) -> Evaluation | None:
        """The evaluation at the end of a training, on what was kept from it; None: nothing was."""
        return None

    @abstractmethod
    def evaluate(self, product: Product, data: Data, **options: Any) -> Evaluation:
        """Measure the product on data: those of the training where `read` was given none."""

    @property
    def training_window(self) -> int | None:
        """The steps over which training follows a gradient; None: whole sequences."""
        return None

    @abstractmethod
    def probe(self, data: Data, *, rows: int, steps: int) -> Probe:
        """Input for an inspection: about so many rows of so many steps."""

    def module(self, product: Product) -> nn.Module:
        """The module that an inspection runs: the first member of an ensemble."""
        return self.models(product)[0]

    def facts(self, product: Product, data: Data, evaluation: Evaluation | None) -> Facts:
        """Sections about the data, the model and its quality."""
        shown = [] if evaluation is None else list(evaluation.sections)
        return Facts(f"A run of {self.name()}", shown)

    def headline(self, data: Data, evaluation: Evaluation) -> Headline | None:
        """What card and report begin with: by default the `measure` of `figures`, if it is there.

        `evaluation` is that of `held_out`.
        """
        figures = self.figures(data)
        value = evaluation.get(figures.measure)
        return None if value is None else figures.headline(value)

    def figures(self, data: Data) -> Figures:
        """Names of the figures, and what chance gives, for comparisons."""
        metric = self.metric
        return Figures(
            title=self.name(),
            quality=f"validation {metric.name}",
            measure=metric.name,
            chance=None,
            loss="loss",
            chance_loss=None,
            higher_is_better=not metric.lower_is_better,
        )

    def test(self, product: Product, data: Data) -> Mapping[str, float]:
        """The figures of a comparison: by default those of the held-out data."""
        return self.held_out(product, data) or {}

    def session(self, product: Product, **options: Any) -> Session[Any, Any]:
        """A stream of one client, from its beginning.

        Raises ConfigError where the task or its model can't be streamed.
        """
        raise ConfigError(f"The task {self.name()} has no stream.")

    def exportables(self, product: Product) -> Sequence[Exportable]:
        """The product's networks as programs for other machines.

        Raises ConfigError where the task or its model can't be exported.
        """
        raise ConfigError(f"Runs of the task {self.name()} can't be exported.")

    def page_facts(self, product: Product) -> Mapping[str, Any]:
        """What a page without a server needs beside the network, as JSON.

        Raises ConfigError where the model has no such page.
        """
        raise ConfigError(
            f"Runs of the task {self.name()} have no page of their own; export to onnx or c, or "
            "use `recurra serve`."
        )

    def dialogues(self, product: Product, most: int) -> Dialogues:
        """The model as at most so many clients at once talk to it, for a server.

        Raises ConfigError where the task or its model can't be served.
        """
        raise ConfigError(f"The task {self.name()} isn't served; use its own commands.")
