"""One client's stream of sound or ink: text while it comes, saved and restored."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.errors import ConfigError
from recurra.tasks.inputs.encoder_stream import EncoderStream
from recurra.tasks.session import Session, weights_digest
from recurra.tasks.transcribe.config import Decoding
from recurra.tasks.transcribe.recogniser import Recogniser
from recurra.tasks.transcribe.transcript import TextSpan

__all__ = ["TranscriptSession"]


class TranscriptSession(Session[Any, TextSpan]):
    """Text of one stream: `partial` is what it seems to be so far, results are what is settled.

    `feed` takes samples at the model's rate, float32 (N,), of sound; of ink the next points (N, 2)
    of a stroke, and `pen_up=True` with its last ones. Characters are settled where a pause ends a
    stretch of at least 8 seconds, and by `finish`, which reads what the model was waiting for.

    Raises ConfigError for a model that reads each sequence from its end as well, or images.
    """

    def __init__(self, product: Recogniser, how: Decoding) -> None:
        super().__init__(weights_digest(product.nets))
        _check(product, how)
        self._product = product
        self._search = product.search(how)
        self._encoders = [EncoderStream(net.front, net.recurrent) for net in product.nets]
        self._features = product.input.stream()
        self._frames = torch.zeros(0, product.nets[0].frame_size)
        self._settled_frames = 0

    @property
    def partial(self) -> str:
        """The text since the last settled one, as it seems to be."""
        return self._product.text(self._search.decoder.best())

    def feed(self, chunk: Any, *, pen_up: bool = False) -> list[TextSpan]:
        """Read what has come; the characters that are settled by it."""
        return self._take(self._features.feed(chunk, **({"pen_up": pen_up} if pen_up else {})))

    def finish(self) -> list[TextSpan]:
        """End the stream: the characters that were waiting for more."""
        settled = self._take(self._features.finish())
        settled += self._search_on(self._frames_of([each.finish() for each in self._encoders]))
        return settled + self._settle()

    def state(self) -> dict[str, Tensor]:
        """The state of features, networks and search, which reads its frames again."""
        tensors = {"frames": self._frames}
        facts: dict[str, Any] = {"settled": self._settled_frames, "features": {}, "encoders": []}
        for name, value in self._features.state().items():
            if isinstance(value, np.ndarray):
                tensors[f"features.{name}"] = torch.from_numpy(value.copy())
            else:
                facts["features"][name] = value
        for number, encoder in enumerate(self._encoders):
            states, about = encoder.state()
            facts["encoders"].append(about)
            tensors |= {f"{number}.{name}": value for name, value in states.items()}
        tensors["facts"] = torch.tensor(list(json.dumps(facts).encode()), dtype=torch.uint8)
        return {name: value.contiguous() for name, value in tensors.items()}

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        facts = json.loads(bytes(tensors["facts"].tolist()))
        kept = {
            n.removeprefix("features."): v.numpy()
            for n, v in tensors.items()
            if n.startswith("features.")
        }
        self._features = self._product.input.stream({**kept, **facts["features"]})
        for number, about in enumerate(facts["encoders"]):
            prefix = f"{number}."
            own = {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}
            self._encoders[number].set_state(own, about)
        self._settled_frames = facts["settled"]
        self._search.decoder.reset()
        self._frames = tensors["frames"]
        if len(self._frames):
            self._search.decoder.feed(self._frames)

    def _take(self, features: np.ndarray[Any, Any]) -> list[TextSpan]:
        """Features that have come, through the networks and the search."""
        if not len(features):
            return []
        ready = torch.from_numpy(self._product.input.standardised(features))
        return self._search_on(self._frames_of([each.feed(ready) for each in self._encoders]))

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


def _check(product: Recogniser, how: Decoding) -> None:
    if product.input.streams and product.config.bidirectional:
        raise ConfigError(
            "The model reads each sequence from its end as well (bidirectional = true), so it "
            "can't be streamed; train one with --no-bidirectional."
        )
    if how.decoder != "recurra":
        raise ConfigError(
            f"decoder = {how.decoder!r} takes whole sequences; leave it out for a stream."
        )
