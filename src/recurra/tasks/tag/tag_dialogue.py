"""A tagger as its clients talk to it: words, or steps, with their tags as they are settled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recurra.tasks.client_message import ClientMessage
from recurra.tasks.dialogue import Answer
from recurra.tasks.inputs.input_dialogue import InputDialogue, InputDialogues
from recurra.tasks.inputs.text_input import TextContent
from recurra.tasks.shared_weights import SharedWeights
from recurra.tasks.tag.sequence_tagger import LayerAnswer, SequenceTagger
from recurra.tasks.tag.tag_session import StepTags, TagSession

__all__ = ["TagDialogues"]

_LAG = 1_000


class TagDialogues(InputDialogues):
    """Dialogues with a tagger; `tags` answers."""

    task = "tag"
    verb = "tag"

    def __init__(self, product: SequenceTagger) -> None:
        self._product = product
        super().__init__(product.input, SharedWeights(product.nets))

    def options(self) -> dict[str, Any]:
        """The tags of each layer."""
        layers = {layer.name: list(layer.tags) for layer in self._product.layers}
        return {"layers": layers, **self.input_options()}

    def session(self, *, lag: int = 0, **options: Any) -> TagSession:
        """A stream with the shared weights."""
        return TagSession(self._product, lag, self.weights)

    def session_options(self, message: ClientMessage) -> dict[str, Any]:
        """The steps that tags may be late."""
        message.only(*(["lag"] if self.streams else []))
        return {"lag": message.count("lag", 0, 0, _LAG)} if self.streams else {}

    def shown(
        self, dialogue: InputDialogue, words: Sequence[str], results: Sequence[StepTags]
    ) -> list[Answer]:
        """One answer for all steps that are settled now."""
        waiting = dialogue.notes["words"]
        waiting += words
        if not results:
            return []
        first, count = results[0].step, len(results)
        settled = waiting[:count] if self.input == "text" else _numbered(first, count)
        dialogue.notes["words"] = waiting[count:]
        layers = {
            layer.name: (
                [each.tags[layer.name] for each in results],
                [float(each.probabilities[layer.name].max()) for each in results],
            )
            for layer in self._product.layers
        }
        return [_answer(first, settled, layers)]

    def whole(self, contents: Sequence[Any]) -> list[list[Answer]]:
        """One answer for each whole input."""
        return [
            [_answer(0, _words(content, own[0]), self._layers(own))]
            for content, own in zip(contents, self._product.answers(contents), strict=True)
        ]

    def _layers(self, answers: Sequence[LayerAnswer]) -> dict[str, tuple[list[str], list[float]]]:
        return {
            layer.name: (layer.decode(own.ids), own.probabilities.max(1).tolist())
            for layer, own in zip(self._product.layers, answers, strict=True)
        }


def _answer(
    start: int, words: Sequence[str], layers: dict[str, tuple[list[str], list[float]]]
) -> Answer:
    """The tags of the first layer by themselves; of several, those of each by its name, too."""
    tags, probabilities = next(iter(layers.values()))
    found: Answer = {
        "type": "tags",
        "start": start,
        "words": list(words),
        "tags": tags,
        "probabilities": probabilities,
    }
    if len(layers) > 1:
        found["layers"] = {name: own for name, (own, _) in layers.items()}
    return found


def _numbered(first: int, count: int) -> list[str]:
    return [str(step) for step in range(first, first + count)]


def _words(content: Any, answer: LayerAnswer) -> list[str]:
    if isinstance(content, TextContent):
        return content.words()
    return _numbered(0, len(answer.ids))
