"""Texts of many clients, read and written together: one step is a token of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from recurra.data.vocabulary import Vocabulary
from recurra.errors import ConfigError
from recurra.nn.module_steps import steps_of
from recurra.nn.states import flatten, unflatten
from recurra.tasks.dialogue import Pool
from recurra.tasks.session import weights_digest
from recurra.tasks.task import Ensemble

__all__ = ["TextPool"]


class TextPool(Pool):
    """At most `most` texts under a language model; an item of a step is (row, token).

    A step gives the surprisal of each token in nats, NaN of a text's very first. Rows don't see
    one another. `state_of` a row is what a `TextSession` of the same model saves.
    """

    def __init__(self, model: nn.Module, vocabulary: Vocabulary, most: int) -> None:
        self._model = model.eval()
        self.digest: str = weights_digest([model])
        self._nets: list[Any] = list(model.models) if isinstance(model, Ensemble) else [model]
        self._steps = [steps_of(net.recurrent, most, chunk=1) for net in self._nets]
        self.logits: Tensor = torch.full((most, len(vocabulary)), torch.nan)
        """Of each text's next token."""
        self.outputs: Tensor = torch.zeros(most, self._steps[0].output_size)
        """Those of the recurrent layers at each text's last token."""
        self._free = list(range(most))[::-1]

    def take(self) -> int:
        """The row of a new text; ConfigError where as many are under way as there may be."""
        if not self._free:
            raise ConfigError("As many texts are under way as there may be; end one.")
        row = self._free.pop()
        self.reset(row)
        return row

    def give_back(self, row: int) -> None:
        """End a text: its row is free for another."""
        self._free.append(row)

    def reset(self, row: int) -> None:
        """Begin a new text."""
        self.logits[row] = torch.nan
        self.outputs[row] = 0
        for steps in self._steps:
            steps.reset(torch.tensor([row]))

    @torch.no_grad()  # not inference mode: rows are reset outside it
    def step(self, items: Sequence[tuple[int, int]]) -> Sequence[float]:
        """Read a token of each of some texts, every one of which comes once."""
        rows, tokens = torch.tensor(items).unbind(1)
        before = self.logits[rows].log_softmax(-1)
        surprisals = -before.gather(1, tokens.unsqueeze(1)).squeeze(1)
        found = []
        for net, steps in zip(self._nets, self._steps, strict=True):
            outputs = steps.step_rows(net.embedding(tokens), rows)
            found.append(net.head(outputs))
            if steps is self._steps[0]:
                self.outputs[rows] = outputs
        model = self._model
        self.logits[rows] = model.join(found) if isinstance(model, Ensemble) else found[0]
        return surprisals.tolist()

    def state_of(self, row: int) -> dict[str, Tensor]:
        """States and logits of a text, as tensors by name."""
        rows = torch.tensor([row])
        tensors = {
            f"state.{number}.{name}": value
            for number, steps in enumerate(self._steps)
            for name, value in flatten(steps.state(rows))[1].items()
        }
        logits = self.logits[rows]
        return tensors if logits.isnan().all() else {**tensors, "logits": logits}

    def set_state_of(self, row: int, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state_of` gave."""
        rows = torch.tensor([row])
        for number, steps in enumerate(self._steps):
            own = f"state.{number}."
            states = {n.removeprefix(own): v for n, v in tensors.items() if n.startswith(own)}
            form, _ = flatten(steps.state(rows))
            steps.set_state(unflatten(form, states, steps.device), rows)
        self.logits[row] = tensors["logits"][0] if "logits" in tensors else torch.nan
