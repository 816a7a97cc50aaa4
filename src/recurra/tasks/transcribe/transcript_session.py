"""One client's stream of sound or ink: text while it comes, saved and restored."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from recurra.errors import ConfigError
from recurra.tasks.inputs.input_stream import InputStream
from recurra.tasks.session import Session
from recurra.tasks.shared_weights import OwnWeights
from recurra.tasks.transcribe.config import Decoding
from recurra.tasks.transcribe.recogniser import Recogniser
from recurra.tasks.transcribe.transcript import TextSpan

__all__ = ["TranscriptSession"]


class TranscriptSession(Session[Any, TextSpan]):
    """Text of one stream: `partial` is what it seems to be so far, results are what is settled.

    `feed` takes samples (N,) of sound, at `rate` or, without one, the model's; of ink the next
    points (N, 2) of a stroke, and `pen_up=True` with its last ones. Characters are settled where a
    pause ends a stretch of at least 8 seconds, and by `finish`, which reads what the model was
    waiting for.

    Raises ConfigError for a model that reads each sequence from its end as well, or images.
    """

    def __init__(
        self,
        product: Recogniser,
        how: Decoding,
        rate: int | None = None,
        weights: OwnWeights | None = None,
    ) -> None:
        weights = weights or OwnWeights(product.nets)
        super().__init__(weights.digest)
        _check(how)
        self._product = product
        self._search = product.search(how)
        self._stream = InputStream(
            product.input,
            product.nets,
            bidirectional=product.config.bidirectional,
            rate=rate,
            steps_for=weights.steps,
        )
        self._frames = torch.zeros(0, product.nets[0].frame_size)
        self._settled_frames = 0

    @property
    def partial(self) -> str:
        """The text since the last settled one, as it seems to be."""
        return self._product.text(self._search.decoder.best())

    def feed(self, chunk: Any, *, pen_up: bool = False) -> list[TextSpan]:
        """Read what has come; the characters that are settled by it."""
        options = {"pen_up": pen_up} if pen_up else {}
        return self._search_on(self._frames_of(self._stream.feed(chunk, **options)))

    def finish(self) -> list[TextSpan]:
        """End the stream: the characters that were waiting for more."""
        return self._search_on(self._frames_of(self._stream.finish())) + self._settle()

    def state(self) -> dict[str, Tensor]:
        """The state of features, networks and search, which reads its frames again."""
        settled = torch.tensor([self._settled_frames])
        tensors = {"frames": self._frames, "settled": settled, **self._stream.state()}
        return {name: value.contiguous() for name, value in tensors.items()}

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        self._stream.set_state(tensors)
        self._settled_frames = int(tensors["settled"])
        self._search.decoder.reset()
        self._frames = tensors["frames"]
        if len(self._frames):
            self._search.decoder.feed(self._frames)

    @torch.inference_mode()
    def _frames_of(self, outputs: list[Tensor]) -> Tensor:
        """What a search reads of the outputs of each network, their mean."""
        nets = self._product.nets
        return torch.stack([net.frames(y) for net, y in zip(nets, outputs, strict=True)]).mean(0)

    def _search_on(self, frames: Tensor) -> list[TextSpan]:
        """The frames one stretch after another."""
        settled: list[TextSpan] = []
        for stretch, ends in self._search.stretches(frames, self._frames):
            self._frames = torch.cat([self._frames, stretch])
            if len(stretch):
                self._search.decoder.feed(stretch)
            if ends:
                settled += self._settle()
        return settled

    def _settle(self) -> list[TextSpan]:
        """The characters of the stretch that has ended; the search begins anew."""
        reading = self._search.decoder.finish()[0]
        sure = dataclasses.replace(reading, confidences=tuple(self._product.confidences(reading)))
        spans = self._product.characters(sure, None, self._settled_frames)
        self._settled_frames += len(self._frames)
        self._frames = self._frames[:0]
        self._search.decoder.reset()
        return list(spans)


def _check(how: Decoding) -> None:
    if how.decoder != "recurra":
        raise ConfigError(
            f"decoder = {how.decoder!r} takes whole sequences; leave it out for a stream."
        )
