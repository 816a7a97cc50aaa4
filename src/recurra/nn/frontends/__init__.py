"""Modules that turn features of sound, ink, images and texts into steps of recurrent layers."""

from recurra.nn.frontends.convolutions import Block, FrontEnd, PlaneFrontEnd, SequenceFrontEnd
from recurra.nn.frontends.linear_filter import FilteredFrontEnd
from recurra.nn.frontends.streaming import FrontEndStream
from recurra.nn.frontends.word_front_end import WordFrontEnd

__all__ = [
    "Block",
    "FilteredFrontEnd",
    "FrontEnd",
    "FrontEndStream",
    "PlaneFrontEnd",
    "SequenceFrontEnd",
    "WordFrontEnd",
]
