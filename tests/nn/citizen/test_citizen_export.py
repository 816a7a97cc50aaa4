"""torch.export of layers: the program runs, for other batches and lengths too."""

import io

import pytest
import torch
from torch.export import Dim, export, load, save

from helpers.citizens import KINDS, close, layer, oracle


@pytest.mark.parametrize("kind", KINDS)
def test_exported_program_gives_the_same(kind):
    module = layer(kind).eval()
    program = export(module, (torch.randn(5, 2, 3),))
    x = torch.randn(5, 2, 3)
    close(program.module()(x), oracle(module, kind)(x.double()))


def test_batch_and_length_stay_free():
    module, free = layer("lstm", bidirectional=True), {0: Dim("steps"), 1: Dim("batch")}
    program = export(module, (torch.randn(5, 2, 3),), dynamic_shapes={"input": free}).module()
    for steps, batch in ((9, 4), (3, 7)):
        x = torch.randn(steps, batch, 3)
        close(program(x), module(x))


@pytest.mark.parametrize("argument", ["lengths", "resets"])
def test_lengths_and_resets_are_inputs_of_the_program(argument):
    module, x = layer("gru"), torch.randn(5, 2, 3)
    first = {"lengths": torch.tensor([5, 3]), "resets": torch.rand(5, 2) < 0.4}[argument]
    other = {"lengths": torch.tensor([1, 4]), "resets": torch.rand(5, 2) < 0.4}[argument]
    program = export(module, (x,), {argument: first}).module()
    close(program(x, **{argument: other}), module(x, **{argument: other}))


def test_saved_and_loaded():
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    file = io.BytesIO()
    save(export(module, (x,)), file)
    file.seek(0)
    close(load(file).module()(x), module(x))


def test_the_program_decomposes():
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    close(export(module, (x,)).run_decompositions().module()(x), module(x))
