"""Modules that turn features of sound, ink and images into the steps of recurrent layers."""

from recurra.nn.frontends.convolutions import Block, FrontEnd, PlaneFrontEnd, SequenceFrontEnd
from recurra.nn.frontends.streaming import FrontEndStream

__all__ = ["Block", "FrontEnd", "FrontEndStream", "PlaneFrontEnd", "SequenceFrontEnd"]
