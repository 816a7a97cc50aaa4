"""The transcription task: sound, pen strokes and images of lines in, their text out.

`recurra.tasks.transcribe.transcript` is importable without loading torch.
"""

from typing import TYPE_CHECKING

from recurra.lazy import Getter, Lister, attach

if TYPE_CHECKING:
    from recurra.tasks.transcribe.transcript import TextSpan, Transcript

__all__ = ["TextSpan", "Transcript"]

__getattr__: Getter
__dir__: Lister
__getattr__, __dir__ = attach(
    __name__,
    {
        "TextSpan": "recurra.tasks.transcribe.transcript",
        "Transcript": "recurra.tasks.transcribe.transcript",
    },
)
