"""Many streams of a language model at once: `recurra serve` beside a plain torch + FastAPI server.

    python benchmarks/serve_load.py --seconds 600

Trains an LSTM for a moment, serves it by both (serve_rival.py needs fastapi), and lets 1, 8, 32 and
100 clients send one character after another over WebSockets, each once its answer has come: the
surprisal of the character. Both in turn for each number of clients, in pieces of 20 seconds.
Every answer is held against a local session's. Tables of p50, p95 and p99 from sending to the
answer, answers a second, wrong answers, and the servers' memory at the start and at the end.
"""

import argparse
import asyncio
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import websockets

import recurra

HERE = pathlib.Path(__file__).parent
TEXT = (
    "A recurrent network does better than anything else at running forever on a stream, with a "
    "state of fixed size. What has come is in the state; what is to come is not known. "
) * 3
TEXTS = 20
PIECE = 20.0
TOLERANCE = 1e-3  # nats


def trained(folder, hidden, layers):
    """A run, briefly trained, and the surprisals of every text."""
    model = recurra.LanguageModel(cell="lstm", hidden=hidden, layers=layers, max_steps=100)
    model.fit(out=folder, progress=False)
    texts = [TEXT[7 * n :] for n in range(TEXTS)]
    wanted = []
    for text in texts:
        session = model.session()
        wanted.append([None, *session.feed(text)])
    return texts, wanted


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


class Server:
    """A process that serves, and how its stream is spoken to."""

    def __init__(self, name, words, port, path):
        self.name, self.url, self.process = name, f"ws://127.0.0.1:{port}/{path}", None
        self.words, self.is_ours = words, name == "recurra"

    def start(self):
        self.process = subprocess.Popen([sys.executable, *map(str, self.words)])
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                asyncio.run(self.reached())
                return
            except OSError:
                time.sleep(0.2)
        raise SystemExit(f"{self.name} didn't start.")

    async def reached(self):
        async with websockets.connect(self.url):
            pass

    @property
    def megabytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def message(self, character, is_first):
        if self.is_ours:
            how = {"more": not is_first, "length": 0, "read": True}
            return json.dumps({"type": "text", "text": character, **how})
        return json.dumps({"text": character, "reset": is_first})

    async def opened(self, client):
        if self.is_ours:
            await client.recv()

    async def answer(self, client):
        found = json.loads(await client.recv())
        if self.is_ours:
            end = json.loads(await client.recv())
            assert end["type"] == "done", end
        return found["surprisal"]


async def client_of(server, number, texts, wanted, until, times):
    """One client until a time; how many of its answers were wrong."""
    text, right = texts[number % TEXTS], wanted[number % TEXTS]
    wrong = 0
    async with websockets.connect(server.url, compression=None) as client:
        await server.opened(client)
        while True:
            for place, character in enumerate(text):
                start = time.perf_counter()
                await client.send(server.message(character, place == 0))
                found = await server.answer(client)
                times.append(time.perf_counter() - start)
                if found is None or right[place] is None:
                    wrong += found is not right[place]
                else:
                    wrong += not abs(found - right[place]) < TOLERANCE
                if time.monotonic() > until:
                    return wrong


async def load(server, clients, seconds, texts, wanted):
    """The times of answers, and how many were wrong."""
    times, until = [], time.monotonic() + seconds
    each = (client_of(server, n, texts, wanted, until, times) for n in range(clients))
    return times, sum(await asyncio.gather(*each))


def main():
    """Both servers under each load."""
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=600, help="of each server at each load")
    options.add_argument("--clients", default="1,8,32,100")
    options.add_argument("--hidden", type=int, default=256)
    options.add_argument("--layers", type=int, default=2)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "language"
        texts, wanted = trained(run, given.hidden, given.layers)
        ports = free_port(), free_port()
        limits = ["--max-sessions", "200", "--queue", "400", "--rate", "0"]
        words = ["-m", "recurra", "serve", run, "--port", ports[0], *limits]
        ours = Server("recurra", words, ports[0], "stream/language")
        plain = Server(
            "torch + FastAPI", [HERE / "serve_rival.py", run, ports[1]], ports[1], "stream"
        )
        servers = [ours, plain]
        try:
            for server in servers:
                server.start()
                asyncio.run(load(server, 8, 1.0, texts, wanted))
            begun = {server.name: server.megabytes for server in servers}
            print(f"LSTM, {given.layers} x {given.hidden}, {given.seconds:g} s each")
            print("clients  server           answers/s   p50 ms  p95 ms  p99 ms  wrong      MB")
            for clients in map(int, given.clients.split(",")):
                measure(servers, clients, given.seconds, texts, wanted)
            for server in servers:
                print(f"{server.name}: {begun[server.name]:.0f} MB to {server.megabytes:.0f} MB")
        finally:
            for server in servers:
                if server.process is not None:
                    server.process.terminate()
                    server.process.wait()


def measure(servers, clients, seconds, texts, wanted):
    """One row for each server, whose pieces take turns."""
    times, wrong = {s.name: [] for s in servers}, dict.fromkeys((s.name for s in servers), 0)
    pieces = max(1, round(seconds / PIECE))
    for _ in range(pieces):
        for server in servers:
            found, own = asyncio.run(load(server, clients, seconds / pieces, texts, wanted))
            times[server.name] += found
            wrong[server.name] += own
    for server in servers:
        own = np.array(times[server.name])
        p50, p95, p99 = np.percentile(own, (50, 95, 99)) * 1000
        print(
            f"{clients:7}  {server.name:16} {len(own) / seconds:9,.0f}   {p50:6.2f}  {p95:6.2f}  "
            f"{p99:6.2f}  {wrong[server.name]:5}  {server.megabytes:6.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
