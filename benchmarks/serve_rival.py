"""A plain server of a language model, as one writes it by hand: torch.nn and FastAPI.

    python benchmarks/serve_rival.py RUN PORT

Serves the weights of a run of `recurra train language` (an LSTM) over a WebSocket: a character
comes as {"text": "x"}, its surprisal goes back; {"reset": true} begins anew. The model is called in
the handler, on one thread, with the state of each client; serve_load.py starts it.
"""

import asyncio
import math
import sys

import torch
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from torch import nn

import recurra


class Model(nn.Module):
    """Embedding, LSTM and head of torch's own, with the run's weights."""

    def __init__(self, run):
        super().__init__()
        model = recurra.load(run)
        own = model.network.state_dict()
        layers = sum(name.startswith("recurrent.W_") for name in own)
        tokens, width = own["embedding.weight"].shape
        hidden = own["recurrent.U_l0"].shape[1]
        self.vocabulary = model.vocabulary
        self.embedding = nn.Embedding(tokens, width)
        self.lstm = nn.LSTM(width, hidden, layers)
        self.head = nn.Linear(hidden, tokens)
        self.embedding.load_state_dict({"weight": own["embedding.weight"]})
        self.head.load_state_dict({name: own[f"head.{name}"] for name in ("weight", "bias")})
        weights = {}
        for layer in range(layers):
            weights[f"weight_ih_l{layer}"] = own[f"recurrent.W_l{layer}"]
            weights[f"weight_hh_l{layer}"] = own[f"recurrent.U_l{layer}"]
            weights[f"bias_ih_l{layer}"] = own[f"recurrent.b_l{layer}"]
            weights[f"bias_hh_l{layer}"] = torch.zeros_like(own[f"recurrent.b_l{layer}"])
        self.lstm.load_state_dict(weights)

    @torch.inference_mode()
    def step(self, token, state):
        """Logits (V,) after a token, and the state."""
        y, state = self.lstm(self.embedding(token).view(1, 1, -1), state)
        return self.head(y[0, 0]), state


def application(model):
    """The server's only path."""
    app = FastAPI()

    @app.websocket("/stream")
    async def stream(client: WebSocket):
        await client.accept()
        state = logits = None
        try:
            while True:
                message = await client.receive_json()
                if message.get("reset"):
                    state = logits = None
                token = model.vocabulary.encode(message["text"])
                surprisal = None
                if logits is not None:
                    surprisal = -logits.log_softmax(-1)[token].item()
                logits, state = model.step(token, state)
                assert surprisal is None or math.isfinite(surprisal)
                await client.send_json({"surprisal": surprisal})
        except WebSocketDisconnect:
            pass

    return app


def main():
    """Serve until killed."""
    torch.set_num_threads(1)
    run, port = sys.argv[1], int(sys.argv[2])
    config = uvicorn.Config(application(Model(run)), port=port, log_level="error")
    asyncio.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
