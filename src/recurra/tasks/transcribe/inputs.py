"""The three kinds of input: what is read of an item, distorted in training, made into features.

An input is built again from its JSON, which travels with the weights.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from recurra.data.audio.log_mel import LogMel
from recurra.data.audio.sound import Sound, read_sound, resample
from recurra.data.audio.sound_notes import clipping_note, silence_note
from recurra.data.audio.sound_perturbation import SoundPerturbation, perturb
from recurra.data.feature_masks import FeatureMasks
from recurra.data.standardise import Standardiser
from recurra.data.transcripts.item import Item

__all__ = ["Input", "input_for", "input_from"]

Features = np.ndarray[Any, np.dtype[np.float32]]
Generator = np.random.Generator


class Input(ABC):
    """A kind of input with its settings."""

    kind: ClassVar[str]
    unit: ClassVar[str]
    """The unit of the times of characters."""

    standardiser: Standardiser | None = None

    @property
    @abstractmethod
    def size(self) -> int:
        """Features of a step."""

    @abstractmethod
    def open(self, item: Item) -> Any:
        """The content of an item; DataError where it can't be used."""

    @abstractmethod
    def raw(self, content: Any) -> Features:
        """The features (T, F) of a content, not standardised."""

    @abstractmethod
    def distorted(self, content: Any, generator: Generator) -> Any:
        """A distorted copy, drawn from the generator."""

    @abstractmethod
    def times(self, frames: Sequence[float], content: Any) -> list[float]:
        """The places of feature steps in the content: seconds, points or columns."""

    def notes(self, content: Any) -> list[str]:
        """Sentences about a content that is used all the same."""
        return []

    def features(self, content: Any) -> Features:
        """The features (T, F), by the statistics of the training data."""
        raw = self.raw(content)
        return raw if self.standardiser is None else self.standardiser.apply(raw)

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Everything `input_from` needs."""

    def fitted(self, contents: Iterable[Any]) -> Input:
        """The same, standardised by the features of these contents; by default not."""
        return self

    def expanded(self, items: Sequence[Item]) -> Iterator[Item | tuple[Item, Exception]]:
        """The items, those that hold several in parts; one that can't be read with its error."""
        yield from items


@dataclasses.dataclass(frozen=True)
class SoundInput(Input):
    """Recordings, as log-mel bands with their running mean taken away."""

    log_mel: LogMel
    perturbation: SoundPerturbation
    masks: FeatureMasks
    standardiser: Standardiser | None = None
    kind: ClassVar[str] = "sound"
    unit: ClassVar[str] = "seconds"

    @property
    def size(self) -> int:
        """Mel bands."""
        return self.log_mel.bands

    def open(self, item: Item) -> Sound:
        """The samples, at the rate of the features."""
        rate = self.log_mel.rate
        if item.data is None:
            assert item.path is not None
            return read_sound(item.path, rate)
        sound = item.data if isinstance(item.data, Sound) else Sound(np.asarray(item.data), rate)
        return Sound(resample(sound.samples, sound.rate, rate), rate)

    def raw(self, content: Sound) -> Features:
        """Log-mel bands."""
        return self.log_mel.features(content.samples)

    def distorted(self, content: Sound, generator: Generator) -> Sound:
        """A recording that is faster, higher, noisier, in another room."""
        samples = perturb(content.samples, content.rate, self.perturbation, generator)
        return Sound(samples, content.rate)

    def times(self, frames: Sequence[float], content: Sound) -> list[float]:
        """Seconds."""
        return [min(frame * self.log_mel.frame_seconds, content.seconds) for frame in frames]

    def notes(self, content: Sound) -> list[str]:
        """Clipping, and silence."""
        notes = (clipping_note(content.samples), silence_note(content.samples))
        return [note for note in notes if note]

    def fitted(self, contents: Iterable[Sound]) -> SoundInput:
        """Standardised by the bands of these recordings."""
        return dataclasses.replace(self, standardiser=Standardiser.of(map(self.raw, contents)))

    def to_json(self) -> dict[str, Any]:
        """The settings by name."""
        return {"kind": self.kind, **dataclasses.asdict(self)}


@dataclasses.dataclass(frozen=True)
class InkInput(Input):
    """Pen strokes, as points at equal distances."""

    ink: InkFeatures
    distortion: InkDistortion
    masks: FeatureMasks
    standardiser: Standardiser | None = None
    kind: ClassVar[str] = "ink"
    unit: ClassVar[str] = "points"

    @property
    def size(self) -> int:
        """Features of a point."""
        return self.ink.width

    def open(self, item: Item) -> Ink:
        """The strokes."""
        if isinstance(item.data, Ink):
            return item.data
        raise DataError(f"{item.origin}: holds a {type(item.data).__name__}; give an Ink.")

    def raw(self, content: Ink) -> Features:
        """Points with directions and surroundings."""
        return self.ink.features(content)

    def distorted(self, content: Ink, generator: Generator) -> Ink:
        """Writing that leans, is scaled, bent and trembles."""
        return distort_ink(content, self.distortion, generator)

    def times(self, frames: Sequence[float], content: Ink) -> list[float]:
        """Resampled points."""
        return list(frames)

    def fitted(self, contents: Iterable[Ink]) -> InkInput:
        """Standardised by the points of these."""
        return dataclasses.replace(self, standardiser=Standardiser.of(map(self.raw, contents)))

    def to_json(self) -> dict[str, Any]:
        """The settings by name."""
        return {"kind": self.kind, **dataclasses.asdict(self)}

    def expanded(self, items: Sequence[Item]) -> Iterator[Item | tuple[Item, Exception]]:
        """An item for each ink of an InkML file, and the strokes of each line of JSON."""
        files: dict[Path, dict[int, InkLine | DataError]] = {}
        for item in items:
            try:
                if item.format == "inkml":
                    yield from _inks_of(item)
                elif item.format == "strokes" and item.path is not None:
                    if item.path not in files:
                        files[item.path] = _lines_of_file(item.path)
                    yield from _strokes_of(item, files[item.path])
                else:
                    yield item
            except DataError as error:
                yield item, error


@dataclasses.dataclass(frozen=True)
class ImageInput(Input):
    """Images of lines, as columns of ink."""

    lines: LineImages
    distortion: ImageDistortion
    masks: FeatureMasks
    kind: ClassVar[str] = "image"
    unit: ClassVar[str] = "columns"

    @property
    def size(self) -> int:
        """Rows of a column."""
        return self.lines.height

    def open(self, item: Item) -> Features:
        """Columns of ink (W, H)."""
        source = item.path if item.data is None else item.data
        return normalise_line(source, self.lines).columns

    def raw(self, content: Features) -> Features:
        """The columns as they are."""
        return content

    def distorted(self, content: Features, generator: Generator) -> Features:
        """Columns of writing that leans, is scaled, bent, blurred and faded."""
        return distort_image(content, self.distortion, generator)

    def times(self, frames: Sequence[float], content: Features) -> list[float]:
        """Columns."""
        return list(frames)

    def to_json(self) -> dict[str, Any]:
        """The settings by name."""
        return {"kind": self.kind, **dataclasses.asdict(self)}

    def expanded(self, items: Sequence[Item]) -> Iterator[Item | tuple[Item, Exception]]:
        """An item for each line of a PAGE or ALTO file, cut from its page."""
        for item in items:
            if item.format not in ("page", "alto"):
                yield item
                continue
            try:
                yield from _lines_of(item)
            except DataError as error:
                yield item, error


def _inks_of(item: Item) -> Iterator[Item]:
    assert item.path is not None
    for number, (ink, label) in enumerate(read_inkml(item.path), start=1):
        name = f"{item.name}, {number}"
        text = item.text if label is None else label
        yield dataclasses.replace(item, name=name, text=text, data=ink, format="memory")


def _lines_of_file(path: Path) -> dict[int, InkLine | DataError]:
    """Each line's ink, or its error."""
    found: dict[int, InkLine | DataError] = {}

    def note(error: DataError) -> None:
        found[int(str(error).split(":")[1])] = error

    for line in read_ink_lines(path, note):
        found[line.line] = line
    return found


def _strokes_of(item: Item, lines: Mapping[int, InkLine | DataError]) -> Iterator[Item]:
    """The item with its strokes; a file of ink that no line is named of gives all its lines."""
    numbers = sorted(lines) if item.line is None else [item.line]
    for number in numbers:
        line = lines[number]
        if isinstance(line, DataError):
            raise line
        name = item.name if item.line is not None else f"{item.name}:{number}"
        text = line.text if item.text is None else item.text
        yield dataclasses.replace(item, name=name, text=text, data=line.ink)


def _lines_of(item: Item) -> Iterator[Item]:
    assert item.path is not None
    pages: dict[Path, Any] = {}
    for line in read_page_lines(item.path):
        if line.image not in pages:
            pages.clear()
            pages[line.image] = read_grey(line.image)
        name = f"{item.name}, {line.id}"
        data = crop_line(pages[line.image], line)
        yield dataclasses.replace(item, name=name, text=line.text, data=data, format="memory")


def input_for(kind: str, config: TranscribeConfig, items: Sequence[Item]) -> Input:
    """The input of a kind with the settings of a configuration, and those that the items decide.

    Those are the most frequent rate of recordings, and the height of letters where strokes are
    read by a model of one direction, which can't wait for the end of the ink.
    """
    masks = _masks(config, kind)
    if kind == "sound":
        rate = config.rate or _usual_rate(items)
        log_mel = LogMel(rate=rate, bands=config.bands, normalise="running")
        return SoundInput(log_mel, _perturbation(config), masks)
    if kind == "ink":
        return InkInput(_ink_features(config, items), _ink_distortion(config), masks)
    distortion = _image_distortion(config)
    return ImageInput(LineImages(height=config.height), distortion, masks)


def input_from(kept: Mapping[str, Any]) -> Input:
    """The input that `to_json` described."""
    kind, settings = kept["kind"], {name: value for name, value in kept.items() if name != "kind"}
    types: dict[str, Any] = {
        "log_mel": LogMel,
        "perturbation": SoundPerturbation,
        "masks": FeatureMasks,
        "standardiser": Standardiser,
        "ink": InkFeatures,
        "lines": LineImages,
        "distortion": InkDistortion if kind == "ink" else ImageDistortion,
    }
    parts = {n: v if v is None else types[n](**v) for n, v in settings.items()}
    return {"sound": SoundInput, "ink": InkInput, "image": ImageInput}[kind](**parts)


def _usual_rate(items: Sequence[Item]) -> int:
    """The most frequent rate of the recordings, of those that can be read."""
    rates = []
    for item in items:
        with contextlib.suppress(DataError):
            if isinstance(item.data, Sound):
                rates.append(item.data.rate)
            elif item.path is not None:
                rates.append(sound_facts(item.path).rate)
    return mode(rates) if rates else 16_000


def _masks(config: TranscribeConfig, kind: str) -> FeatureMasks:
    """Masks over time, and over features where these have an order."""
    usual = FeatureMasks()
    over_features = 0.0 if kind == "ink" else usual.feature_share
    return dataclasses.replace(
        usual,
        time_share=min(0.5, usual.time_share * config.masks),
        feature_share=min(0.5, over_features * config.masks),
    )


def _perturbation(config: TranscribeConfig) -> SoundPerturbation:
    usual = SoundPerturbation()
    strengths = {name: getattr(config, name) for name in ("speed", "pitch", "noise", "room")}
    chances = {
        f"{name}_probability": min(1.0, getattr(usual, f"{name}_probability") * strength)
        for name, strength in strengths.items()
    }
    sizes = {name: getattr(usual, name) * strengths[name] for name in ("speed", "pitch")}
    return dataclasses.replace(usual, **chances, **sizes)


def _ink_features(config: TranscribeConfig, items: Sequence[Item]) -> InkFeatures:
    spacing = {"spacing": config.spacing} if config.spacing else {}
    if config.bidirectional:
        return InkFeatures(**spacing)
    return InkFeatures.causal(median(core_height(item.data) for item in items), **spacing)
