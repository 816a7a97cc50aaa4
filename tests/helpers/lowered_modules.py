"""Modules as programs, with weights that make every part count."""

import torch

from recurra.nn.program import ProgramBuilder, lowered

LENGTHS = torch.tensor([9, 1, 4])
"""Of the three rows of a batch of nine steps."""


def program_of(module, size, *, ragged=True, kind="steps"):
    """The program of a module that reads so many numbers a step."""
    build = ProgramBuilder(kind, size, ragged=ragged)
    return build.finished(lowered(module, build, build.input))


def scrambled(module):
    """The module with weights that differ from those it starts from, of which some are zeros, and
    with statistics of its norms that do.
    """
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    for norm in getattr(module, "norms", ()):
        norm.mean.normal_()
        norm.variance.uniform_(0.5, 2)
    return module.eval()


def assert_same_steps(found, wanted, lengths=None):
    """The steps (T, B, ...) that are there agree."""
    for row, length in enumerate([len(wanted)] * wanted.shape[1] if lengths is None else lengths):
        torch.testing.assert_close(found[:length, row], wanted[:length, row], rtol=2e-4, atol=2e-5)
