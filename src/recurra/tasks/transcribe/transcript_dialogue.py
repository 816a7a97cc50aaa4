"""A recogniser as its clients talk to it: the text of sound or ink while it comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recurra.tasks.client_message import ClientMessage
from recurra.tasks.dialogue import Answer
from recurra.tasks.inputs.input_dialogue import InputDialogue, InputDialogues
from recurra.tasks.shared_weights import SharedWeights
from recurra.tasks.transcribe.config import Decoding
from recurra.tasks.transcribe.recogniser import Recogniser
from recurra.tasks.transcribe.transcript import TextSpan
from recurra.tasks.transcribe.transcript_session import TranscriptSession

__all__ = ["TranscriptDialogues"]

_LONGEST = 10_000
"""Characters of the settled text that an answer has, the last ones."""

_BEAM = 64


class TranscriptDialogues(InputDialogues):
    """Dialogues with a recogniser; `transcript` answers."""

    task = "transcribe"
    verb = "transcribe"

    def __init__(self, product: Recogniser) -> None:
        self._product = product
        super().__init__(product.input, SharedWeights(product.nets))

    def options(self) -> dict[str, Any]:
        """The characters that come out."""
        return {"characters": "".join(self._product.alphabet.characters), **self.input_options()}

    def session(
        self, *, rate: int | None = None, beam: int | None = None, **options: Any
    ) -> TranscriptSession:
        """A stream with the shared weights."""
        return TranscriptSession(self._product, Decoding(beam=beam), rate, self.weights)

    def session_options(self, message: ClientMessage) -> dict[str, Any]:
        """Hypotheses that the search keeps."""
        beam, rate = ["beam"] * self.streams, ["rate"] * (self.input == "sound")
        message.only(*beam, *rate)
        if "beam" not in message:
            return {}
        return {"beam": message.count("beam", None, 1, _BEAM)}

    def shown(
        self, dialogue: InputDialogue, words: Sequence[str], results: Sequence[TextSpan]
    ) -> list[Answer]:
        """The text that is settled, and what seems to follow."""
        session = dialogue.session
        assert isinstance(session, TranscriptSession)
        text = dialogue.notes["text"] + "".join(span.text for span in results)
        dialogue.notes["text"] = text[-_LONGEST:]
        partial = "" if dialogue.notes["ended"] else session.partial
        return [{"type": "transcript", "settled": dialogue.notes["text"], "partial": partial}]

    def whole(self, contents: Sequence[Any]) -> list[list[Answer]]:
        """One answer for each whole input."""
        search = self._product.search(Decoding())
        texts = [
            self._product.text(self._product.reading(search, frames).best)
            for frames in self._product.frames_of(contents)
        ]
        return [[{"type": "transcript", "settled": text, "partial": ""}] for text in texts]
