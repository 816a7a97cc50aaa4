"""The transcription task: sound, pen strokes or images of lines in, their text out."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from recurra.config.task_config import TaskConfig
from recurra.data import check_exists
from recurra.data.alphabet import Alphabet
from recurra.data.transcripts.bad_items import BadItems
from recurra.data.transcripts.item import Item, kind_of_items
from recurra.errors import ConfigError, DataError
from recurra.nn.frontends import FrontEnd
from recurra.nn.states import State
from recurra.reports import Headline
from recurra.tasks.exportable import Exportable
from recurra.tasks.inputs import Input, input_from
from recurra.tasks.inputs.collection import (
    Collection,
    Part,
    expanded,
    listed,
    opened,
    read_collection,
)
from recurra.tasks.inputs.front_end import convolutions, program_of
from recurra.tasks.inputs.item_batches import spread
from recurra.tasks.task import Evaluation, Facts, Figures, Probe, Retrain, Source, Task
from recurra.tasks.transcribe import judgement, transcription_facts
from recurra.tasks.transcribe.config import Decoding, TranscribeConfig
from recurra.tasks.transcribe.fusion import check_language
from recurra.tasks.transcribe.model import (
    TranscribeNet,
    TranscribeSizes,
    ctc_nats,
    needed_steps,
)
from recurra.tasks.transcribe.recogniser import Recogniser
from recurra.tasks.transcribe.text_batches import TextBatches, padded
from recurra.tasks.transcribe.transcript_dialogue import TranscriptDialogues
from recurra.tasks.transcribe.transcript_session import TranscriptSession
from recurra.tasks.transcribe.validation import Validation
from recurra.training import Metric, Validate, Windows

__all__ = ["TASK", "Transcribe"]


class Transcribe(Task[TranscribeConfig, Collection, Recogniser]):
    """Unsegmented sequences are read by a network that writes their text."""

    configuration: ClassVar[type[TaskConfig]] = TranscribeConfig
    estimator = "recurra.tasks.transcribe.transcriber:Transcriber"
    metric: ClassVar[Metric] = Metric("cer")
    unit = "characters"

    def read(self, data: Any = None, **others: Any) -> Collection:
        """Read a manifest, a folder, files, or pairs of a recording, ink or image and its text."""
        if data is None and not self.config.data:
            raise DataError(
                "No data to train on; give a manifest (path,text), a folder of name.wav + name.txt "
                "or name.png + name.gt.txt, or ink as JSON lines."
            )
        if self.config.ngram_text is not None:  # which is read when the training has ended
            check_exists(self.config.ngram_text)
        check_language(self.config.language)
        return read_collection(self.config, data, self.config.form, self._refused)

    def read_measured(self, data: Any, *, where: str | None = None, **others: Any) -> Collection:
        """Read data to be measured whole."""
        form, bad, how = self.config.form, BadItems(self.config.bad_share), self.input
        items = listed(self.config, data, where, form, bad).items
        if (kind := kind_of_items(items)) != how.kind:
            raise DataError(f"The model reads {how.kind}, and the data are of kind {kind}.")
        items = expanded(type(how), items, form, bad)
        return Collection(how, Part(), opened(how, items, bad, self._refused))

    def notes(self, data: Collection) -> list[str]:
        """Items that were left out, recordings that are silent or clipped, unknown characters."""
        parts = {"": data.train, " to validate on": data.held_out}
        notes = [f"Left out{what}: {part.bad}" for what, part in parts.items() if len(part.bad)]
        notes += [note for part in parts.values() for note in part.notes]
        unknown = self.alphabet.unknown_in(data.held_out.texts)
        if unknown:
            shown = ", ".join(repr(each) for each in list(unknown)[:10])
            notes.append(
                f"The texts to validate on have {unknown.total():,} characters that training lacks "
                f"({shown}): each counts as an error."
            )
        return notes

    def record(self, config: TranscribeConfig, data: Collection) -> TranscribeConfig:
        """The configuration with absolute paths."""
        kept = {name: getattr(config, name) for name in config.places}
        places: Any = {name: str(Path(path).absolute()) for name, path in kept.items() if path}
        return dataclasses.replace(config, **places)

    def sources(self, data: Collection) -> list[Source]:
        """The items trained on and those held out, by their digests."""
        return list(data.sources)

    def context_of(self, data: Collection) -> dict[str, Any]:
        """The input with the statistics of its features, and the alphabet."""
        config, texts = self.config, data.train.texts
        if config.alphabet is None:
            alphabet = Alphabet.of(texts)
        else:
            alphabet = Alphabet.given(config.alphabet, config.form)
        how = data.how.fitted(data.train.contents)
        return {"input": how.to_json(), "alphabet": list(alphabet.characters)}

    def grown(self, old: Mapping[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        """The input of the old run, and its alphabet with new characters at its end."""
        if not old:
            return new
        if old["input"]["kind"] != new["input"]["kind"]:
            raise ConfigError(
                f"The run to start from reads {old['input']['kind']}, and the data are "
                f"{new['input']['kind']}; start from a run of the same kind."
            )
        characters = dict.fromkeys([*old["alphabet"], *new["alphabet"]])
        return {"input": old["input"], "alphabet": list(characters)}

    @property
    def alphabet(self) -> Alphabet:
        """The characters that the context holds."""
        return Alphabet(self.context["alphabet"])

    @property
    def input(self) -> Input:
        """The input that the context holds."""
        return input_from(self.context["input"])

    def build(self) -> TranscribeNet:
        """A front end for the kind of input, recurrent layers, a head over the alphabet."""
        how = self.input
        return TranscribeNet(self.config, TranscribeSizes(how.kind, how.size, len(self.alphabet)))

    def windows(self, data: Collection) -> Windows:
        """Items of nearly equal lengths, distorted anew in each epoch."""
        config, part = self.config, data.train
        return TextBatches(
            self.input,
            part.contents,
            [self.alphabet.encode(text) for text in part.texts],
            part.steps,
            batch_size=config.batch_of(len(part)),
            seed=config.seed,
            curriculum=config.curriculum,
        )

    def suited(self, windows: Windows) -> TranscribeConfig:
        """As many epochs as make enough steps, where no length is given."""
        return self.config.suited(len(windows))

    def loss(self, model: nn.Module, batch: Any, state: State) -> tuple[Tensor, int, State]:
        """Nats a character."""
        assert isinstance(model, TranscribeNet)
        return model.loss(batch), batch.targets_in_all, None

    def validation(self, data: Collection) -> Validate | None:
        """Nats a character and the rate of wrong characters, by the most likely path."""
        if not len(data.held_out):
            return None
        return Validation(self.input, self.alphabet, data.held_out, self.config.reading_batch)

    def complete(
        self, models: Sequence[nn.Module], data: Collection, retrain: Retrain
    ) -> Recogniser:
        """Learn which characters follow one another, and weigh that on the held-out part."""
        return Recogniser.completed(self.config, self.input, self.alphabet, models, data)

    def artefacts(self, product: Recogniser) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The model of characters, and what the held-out part chose."""
        return product.to_parts()

    def models(self, product: Recogniser) -> Sequence[nn.Module]:
        """The networks that are averaged."""
        return product.nets

    def restore(
        self, models: Sequence[nn.Module], tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
    ) -> Recogniser:
        """The recogniser of the stored parts."""
        return Recogniser.from_parts(self.config, self.input, self.alphabet, models, tensors, facts)

    def held_out(self, product: Recogniser, data: Collection) -> Evaluation | None:
        """The held-out items, decoded as the run decodes."""
        return self.evaluate(product, data) if len(data.held_out) else None

    def evaluate(
        self,
        product: Recogniser,
        data: Collection,
        *,
        where: str | None = None,
        groups: str | None = None,
        **options: Any,
    ) -> Evaluation:
        """Rates of wrong characters and words on the held-out items, with intervals.

        `cer` and `wer` are errors by the characters and words of the transcripts, `exact` the
        share of items without one; `groups` names a column whose groups are drawn whole.
        """
        if not len(data.held_out):
            raise DataError("The run has no held-out items; name data to evaluate on.")
        if where is not None and data.sources:
            raise ConfigError(
                f"where = {where!r} chooses rows of a manifest to measure on, and the run's own "
                "held-out items are chosen; name the manifest as well."
            )
        return judgement.judged(product, data.held_out, Decoding(**options), groups)

    def probe(self, data: Collection, *, rows: int, steps: int) -> Probe:
        """Held-out items, of about so many steps or more; the loss is that of CTC.

        That of a transducer, whose network gives no probabilities of its own, is of the size of its
        outputs.
        """
        part = data.held_out if len(data.held_out) else data.train
        texts = [self.alphabet.encode(text) for text in part.texts]
        # Those that are long enough, where there are such, and not much longer than they need be.
        long = [n for n, count in enumerate(part.steps) if count >= steps]
        long = sorted(long, key=lambda n: part.steps[n])[: 4 * rows] or list(range(len(part)))
        chosen = [long[place] for place in spread(len(long), rows)]
        features = [self.input.features(part.contents[n]) for n in chosen]
        batch = padded(features, [texts[n] for n in chosen])

        def loss(output: tuple[Tensor, Tensor]) -> Tensor:
            frames, lengths = output
            if self.config.model == "transducer":
                return frames.square().sum() / 2
            return ctc_nats(frames.log_softmax(-1), lengths, batch).sum() / batch.targets_in_all

        judges = self.config.model != "transducer"
        return Probe((batch.features, batch.lengths), loss, judges=judges)

    def facts(self, product: Recogniser, data: Collection, evaluation: Evaluation | None) -> Facts:
        """The data, the model, its figures, and its worst mistakes."""
        return transcription_facts.facts_of(product, data, evaluation)

    def headline(self, data: Collection, evaluation: Evaluation) -> Headline:
        """The rate of wrong characters, beside writing the same text always."""
        return transcription_facts.headline_of(data, evaluation)

    def figures(self, data: Collection) -> Figures:
        """The rate of wrong characters; chance is an empty text."""
        return Figures(
            title=f"transcription of {self.context['input']['kind']}",
            quality="character error rate",
            measure="cer",
            chance=1.0,
            loss="loss (nats a character)",
            chance_loss=None,
        )

    def session(
        self,
        product: Recogniser,
        *,
        rate: int | None = None,
        beam: int | None = None,
        language: str | None = None,
        language_weight: float | None = None,
        lexicon: str | None = None,
        boost: str = "",
        boost_weight: float = Decoding.boost_weight,
        ngram: bool = True,
        decoder: Literal["recurra", "flashlight"] = "recurra",
        **others: Any,
    ) -> TranscriptSession:
        """One client's stream of sound at a rate or of ink, decoded as `Decoding` describes."""
        how = Decoding(
            beam=beam,
            language=language,
            language_weight=language_weight,
            lexicon=lexicon,
            boost=boost,
            boost_weight=boost_weight,
            ngram=ngram,
            decoder=decoder,
        )
        return TranscriptSession(product, how, rate)

    def exportables(self, product: Recogniser) -> Sequence[Exportable]:
        """Each network: what a search reads, from features; the search stays here."""
        return [
            Exportable(net, net.program(program_of(self.input)), "frames") for net in product.nets
        ]

    def dialogues(self, product: Recogniser, most: int) -> TranscriptDialogues:
        """The text of sound or ink."""
        return TranscriptDialogues(product)

    def _refused(self, how: Input, item: Item, steps: int) -> str | None:
        """Why the network can't write the text of an item; None where it can."""
        text, known = item.text or "", self.config.alphabet
        foreign = sorted(set(text) - set(known)) if known is not None else []
        if foreign:
            return f"has characters outside the alphabet: {', '.join(map(repr, foreign[:5]))}."
        front = self._front(how.kind, how.size)
        have, need = int(front.lengths(torch.tensor([steps]))), 1
        if self.config.model == "ctc":
            need = needed_steps(text)
        if have >= need:
            return None
        return (
            f"its text of {len(text)} characters takes {need} steps, and it has {have} (one for "
            f"{front.subsampling} of {steps}); correct the text, or lower subsampling."
        )

    @functools.cache  # noqa: B019
    def _front(self, kind: str, size: int) -> FrontEnd:
        """The convolutions, without memory."""
        with torch.device("meta"):
            return convolutions(self.config, kind, size)


TASK = Transcribe
