"""A server as a process: its end under load, its port, and clients that vanish or stall."""

import asyncio
import json
import signal
import socket
import time

import httpx
import pytest
from click.testing import CliRunner

from helpers.serving import ended, server_process
from recurra.cli import main

websockets = pytest.importorskip("websockets", reason="websockets isn't installed")
pytest.importorskip("uvicorn", reason="uvicorn isn't installed")

PROMPTS = ["The ", "A cell", "rain", "keeps what"]
LENGTH = 1500


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on disk of the small language model."""
    import recurra

    folder = tmp_path_factory.mktemp("runs") / "language"
    model = recurra.LanguageModel(window=16, valid_fraction=0.01, hidden=8, max_steps=4)
    model.fit("The rain went on. A cell keeps what it needs.\n" * 40, out=folder)
    return folder, recurra.load(folder)


async def stream_of(port, prompt, began):
    """A text written by a stream, and the code that closed it."""
    async with websockets.connect(f"ws://127.0.0.1:{port}/stream/language") as client:
        await client.recv()
        message = {"type": "text", "text": prompt, "length": LENGTH, "seed": 1}
        await client.send(json.dumps(message))
        text, done = "", False
        try:
            async for line in client:
                answer = json.loads(line)
                began.set()
                text += answer.get("text", "")
                done = done or answer["type"] == "done"
        except websockets.ConnectionClosed:
            pass
        return text, done, client.close_code


async def request_of(port, prompt):
    """A text written by a request."""
    async with httpx.AsyncClient(timeout=60) as client:
        body = {"text": prompt, "length": LENGTH, "seed": 1}
        answer = await client.post(f"http://127.0.0.1:{port}/generate/language", json=body)
        answer.raise_for_status()
        return "".join(each["text"] for each in answer.json()["answers"])


def test_sigterm_under_load_loses_no_accepted_request(run):
    folder, model = run

    async def load(process):
        began = [asyncio.Event() for _ in PROMPTS]
        streams = [
            asyncio.create_task(stream_of(process.port, *each))
            for each in zip(PROMPTS, began, strict=True)
        ]
        await asyncio.gather(*(each.wait() for each in began))
        requests = [asyncio.create_task(request_of(process.port, p)) for p in PROMPTS]
        while metric(process.port, "recurra_messages_under_way") <= len(PROMPTS):
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        return await asyncio.gather(*streams), await asyncio.gather(*requests)

    with server_process(folder) as process:
        streams, requests = asyncio.run(load(process))
        process.wait(timeout=60)
        assert (process.returncode, process.stderr.read()) == (0, "")
    wanted = [model.generate(prompt, length=LENGTH, seed=1) for prompt in PROMPTS]
    assert requests == wanted
    assert streams == [(text, True, 1012) for text in wanted]


def test_a_state_outlives_the_process(run, tmp_path):
    folder, _ = run

    async def talk(port, *messages):
        async with websockets.connect(f"ws://127.0.0.1:{port}/stream/language") as client:
            saved, text = json.loads(await client.recv())["saved"], ""
            for message in messages:
                await client.send(json.dumps(message))
                while (answer := json.loads(await client.recv()))["type"] != "done":
                    assert answer["type"] == "token", answer
                    text += answer["text"]
        return saved, text

    more = {"type": "text", "text": " keeps", "more": True, "length": 20, "seed": 1}
    with server_process(folder, "--save-dir", tmp_path / "states") as process:
        read = {"type": "text", "text": "A cell", "length": 0}
        saved, _ = asyncio.run(talk(process.port, read))
        _, wanted = asyncio.run(talk(process.port, read, more))
        assert ended(process) == (0, "")
    with server_process(folder, "--save-dir", tmp_path / "states") as process:
        _, found = asyncio.run(talk(process.port, {"type": "restore", "saved": saved}, more))
    assert found == wanted


def test_a_second_server_on_the_port_says_so(run):
    folder, _ = run
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, ["serve", str(folder), "--port", str(port)])
    assert result.exit_code == 2
    assert result.output.count("\n") == 1
    assert f"Port {port} of 127.0.0.1 is in use" in result.output


def test_clients_that_vanish_stall_or_send_half_a_message_stop_nobody(run):
    folder, model = run
    with server_process(folder, "--idle-seconds", "2") as process:
        address = ("127.0.0.1", process.port)
        half = socket.create_connection(address)
        half.sendall(b"POST /generate/language HTTP/1.1\r\nHost: localhost\r\nContent-")
        body = socket.create_connection(address)
        body.sendall(
            b"POST /generate/language HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        stalled = opened_by_hand(address)
        message = json.dumps({"type": "text", "text": "a", "length": 100_000, "read": True})
        stalled.sendall(frame(message.encode()))  # and its answers are never read
        broken = opened_by_hand(address)
        broken.sendall(frame(message.encode())[:20])
        gone = opened_by_hand(address)
        gone.sendall(frame(message.encode()))
        gone.close()
        text = asyncio.run(request_of(process.port, "The "))
        assert text == model.generate("The ", length=LENGTH, seed=1)
        deadline = time.monotonic() + 20
        while metric(process.port, "recurra_streams") > 1 and time.monotonic() < deadline:
            time.sleep(0.1)
        # The one that stalls has longer than those that are idle.
        assert metric(process.port, "recurra_streams") <= 1
        for client in (half, body, stalled, broken):
            client.close()
        assert ended(process) == (0, "")


def metric(port, name):
    """A number that the server counts."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    return float(text.partition(f"\n{name} ")[2].partition("\n")[0])


def opened_by_hand(address):
    """A socket that speaks WebSocket."""
    client = socket.create_connection(address)
    client.sendall(
        b"GET /stream/language HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert b"101" in client.recv(4096)
    return client


def frame(payload):
    """A masked text frame of at most 125 bytes, whose mask is zeros."""
    assert len(payload) < 126
    return bytes([0x81, 0x80 | len(payload)]) + bytes(4) + payload


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["RUN", "RUN"], "Two runs are called language"),
        (["RUN", "--port", "70000"], "port = 70000"),
        (["RUN", "--allow-origin", "example.org/x"], "https://example.org"),
        (["RUN", "--save-dir", "/proc/none"], "can't keep states"),
        (["RUN", "--host", "no.such.host.invalid"], "there is no such host"),
        (["RUN", "--host", "192.0.2.1"], "can't be used"),
        ([], "Missing argument"),
    ],
)
def test_mistakes_on_the_command_line_are_sentences(run, words, sentence):
    words = [str(run[0]) if word == "RUN" else word for word in words]
    result = CliRunner().invoke(main, ["serve", *words])
    assert result.exit_code == 2
    assert sentence in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_a_server_that_anybody_reaches_warns(run, monkeypatch):
    monkeypatch.setattr("recurra.deploy.serve.server.serve", lambda *given: None)
    words = ["serve", str(run[0]), "--port", "0", "--host", "0.0.0.0"]
    result = CliRunner().invoke(main, words)
    assert "anybody who reaches" in result.output
    assert "anybody" not in CliRunner().invoke(main, [*words, "--token", "x"]).output
