"""The transcription task: sound, pen strokes and images of lines in, their text out.

`recurra.tasks.transcribe.config` and `.transcript` are importable without loading torch.
"""

from typing import TYPE_CHECKING

from recurra.lazy import Getter, Lister, attach

if TYPE_CHECKING:
    from recurra.tasks.transcribe.config import TranscribeConfig
    from recurra.tasks.transcribe.transcriber import Transcriber
    from recurra.tasks.transcribe.transcript import TextSpan, Transcript
    from recurra.tasks.transcribe.transcript_session import TranscriptSession

__all__ = ["TextSpan", "TranscribeConfig", "Transcriber", "Transcript", "TranscriptSession"]

__getattr__: Getter
__dir__: Lister
__getattr__, __dir__ = attach(
    __name__,
    {
        "TextSpan": "recurra.tasks.transcribe.transcript",
        "TranscribeConfig": "recurra.tasks.transcribe.config",
        "Transcriber": "recurra.tasks.transcribe.transcriber",
        "Transcript": "recurra.tasks.transcribe.transcript",
        "TranscriptSession": "recurra.tasks.transcribe.transcript_session",
    },
)
