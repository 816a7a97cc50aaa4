"""A linear-chain conditional random field: likelihood, best paths, marginals and streams."""

from recurra.nn.crf.conditional_random_field import Allowed, ConditionalRandomField
from recurra.nn.crf.tag_stream import StreamedTags, TagStream

__all__ = ["Allowed", "ConditionalRandomField", "StreamedTags", "TagStream"]
