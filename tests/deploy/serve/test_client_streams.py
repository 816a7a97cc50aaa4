"""Streams over WebSocket: answers, states that outlive them, and clients that misbehave."""

import re
import struct
import time
from contextlib import contextmanager

import pytest
import torch

from helpers.serving import until_free
from helpers.small_models import small_model

starlette = pytest.importorskip("starlette.websockets", reason="starlette isn't installed")
Disconnect = starlette.WebSocketDisconnect


@contextmanager
def opened(client, run, **options):
    """A stream, with the first answer's name of its state."""
    with client.websocket_connect(f"ws://localhost:8000/stream/{run}", **options) as stream:
        first = stream.receive_json()
        assert first["type"] == "opened"
        stream.saved = first["saved"]
        yield stream


def ask(stream, message):
    """The answers to a message, the last of which ends them."""
    stream.send_json(message)
    return rest_of(stream)


def rest_of(stream):
    found = [stream.receive_json()]
    while found[-1]["type"] not in ("done", "error"):
        found.append(stream.receive_json())
    return found


def written(answers):
    return "".join(a.get("text", "") for a in answers)


def test_interleaved_clients_hear_what_local_sessions_say(serving):
    client, model = serving(), small_model("language")
    prompts = ["The ", "A cell", "rain"]
    with (
        opened(client, "language") as a,
        opened(client, "language") as b,
        opened(client, "language") as c,
    ):
        streams = [a, b, c]
        for stream, prompt in zip(streams, prompts, strict=True):
            stream.send_json({"type": "text", "text": prompt, "length": 400, "seed": 2})
        found = ["", "", ""]
        for _ in range(400):  # side by side, so that none waits for its reader
            for n, stream in enumerate(streams):
                found[n] += stream.receive_json()["text"]
        pooled = client.get("/metrics").text
        steps, items = (
            float(re.search(f"recurra_step_clients_{n} (.*)", pooled)[1]) for n in ("count", "sum")
        )
        assert items > 1.5 * steps
    assert found == [model.generate(prompt, length=400, seed=2) for prompt in prompts]


def test_messages_are_answered_in_their_order_with_their_names(serving):
    with opened(serving(), "films") as stream:
        for number, word in enumerate(("a", "fine", "film")):
            stream.send_json({"type": "text", "text": word, "more": True, "id": number})
        answers = [stream.receive_json() for _ in range(6)]
        assert [a["step"] for a in answers[::2]] == [0, 1, 2]
        assert answers[1::2] == [{"type": "done", "id": n} for n in range(3)]


def test_writing_is_stopped(serving):
    with opened(serving(), "language") as stream:
        stream.send_json({"type": "text", "text": "The", "length": 100_000})
        stream.receive_json()
        stream.send_json({"type": "stop"})
        answers = rest_of(stream)
        assert answers[-1] == {"type": "done"}
        assert len(answers) < 90_000
        assert ask(stream, {"type": "text", "text": "x", "length": 1})[-1]["type"] == "done"


def test_a_stop_that_comes_at_once_is_not_lost(serving):
    with opened(serving(), "language") as stream:
        for _ in range(5):
            stream.send_json({"type": "text", "text": "The", "length": 100_000})
            stream.send_json({"type": "stop"})
            assert len(rest_of(stream)) < 50_000
        assert len(ask(stream, {"type": "text", "text": "The", "length": 5})) == 6


def test_sound_comes_as_bytes_too(serving):
    samples = [0.1, -0.1] * 800
    with opened(serving("speech"), "speech") as stream:
        wanted = ask(stream, {"type": "sound", "samples": samples})
        ask(stream, {"type": "reset"})
        stream.send_bytes(struct.pack(f"<{len(samples)}f", *samples))
        assert rest_of(stream) == wanted
        stream.send_bytes(b"123")
        assert "3 bytes" in rest_of(stream)[-1]["message"]
        stream.send_bytes(struct.pack("<2f", 0.0, float("nan")))
        assert "samples[1] is nan" in rest_of(stream)[-1]["message"]


def test_a_state_is_saved_and_restored(serving):
    more = {"type": "text", "text": " it", "more": True, "length": 5, "seed": 4}
    with opened(serving(), "language") as stream:
        ask(stream, {"type": "text", "text": "A cell keeps", "length": 0})
        saved = ask(stream, {"type": "save"})[0]["saved"]
        wanted = ask(stream, more)
        assert ask(stream, {"type": "restore", "saved": saved}) == [{"type": "done"}]
        assert ask(stream, more) == wanted
        for name in ("x", "../etc/passwd", saved[::-1]):
            (answer,) = ask(stream, {"type": "restore", "saved": name})
            assert "No state" in answer["message"]


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_stream_that_ended_goes_on_in_another(serving, tmp_path, on_disk):
    options = {"save_dir": tmp_path / "states"} if on_disk else {}
    client = serving(**options)
    with opened(client, "language") as stream:
        ask(stream, {"type": "text", "text": "A cell keeps", "length": 0})
        wanted = ask(stream, {"type": "save"})[0]
    more = {"type": "text", "text": " it", "more": True, "length": 5, "seed": 4}
    until_free(client.app_of_server)
    again = serving(**options) if on_disk else client  # another process, as it were
    with opened(again, "language") as second:
        assert ask(second, {"type": "restore", "saved": stream.saved}) == [{"type": "done"}]
        found = ask(second, more)
        ask(second, {"type": "restore", "saved": wanted["saved"]})
        assert ask(second, more) == found
    if on_disk:
        names = [path.name for path in (tmp_path / "states").iterdir()]
        assert all(len(name) == 64 + len(".session") for name in names)
        assert stream.saved not in "".join(names)
    with opened(again, "films") as other:
        (answer,) = ask(other, {"type": "restore", "saved": stream.saved})
        assert "No state of films" in answer["message"]


def test_idle_clients_are_closed_and_their_states_forgotten(serving):
    client = serving(idle_seconds=0.3)
    with opened(client, "films") as stream:
        with pytest.raises(Disconnect) as closed:
            stream.receive_json()
        assert closed.value.code == 4408
        assert "Idle" in closed.value.reason
    time.sleep(0.4)
    with opened(client, "films") as second:
        (answer,) = ask(second, {"type": "restore", "saved": stream.saved})
        assert answer["type"] == "error"


def refused(client, path, code, sentence, **options):
    with client.websocket_connect(f"ws://localhost:8000{path}", **options) as stream:
        with pytest.raises(Disconnect) as closed:
            stream.receive_json()
        assert closed.value.code == code
        assert sentence in closed.value.reason
        assert len(closed.value.reason.encode()) <= 123


def test_streams_that_may_not_be_are_closed_with_a_sentence(serving):
    client = serving(max_sessions=1)
    refused(client, "/stream/nothing", 4404, "no run 'nothing'")
    foreign = {"origin": "https://evil.example"}
    refused(client, "/stream/films", 1008, "evil.example", headers=foreign)
    refused(client, "/stream/films", 1008, "", headers={"host": "evil.example"})
    own = {"origin": "http://localhost:8000"}
    with opened(client, "films", headers=own):
        refused(client, "/stream/films", 1013, "can't be")
    secret = serving(token="s3cret")
    refused(secret, "/stream/films", 1008, "token")
    with opened(secret, "films", headers={"authorization": "Bearer s3cret"}):
        pass


def test_too_long_a_message_ends_the_stream(serving):
    with opened(serving(max_body=1000), "films") as stream:
        stream.send_text("x" * 2000)
        with pytest.raises(Disconnect) as closed:
            stream.receive_json()
        assert closed.value.code == 1009


def test_a_fast_client_is_slowed_down_not_dropped(serving):
    with opened(serving(rate=20), "films") as stream:
        start = time.monotonic()
        for _ in range(50):
            assert ask(stream, {"type": "reset"}) == [{"type": "done"}]
        assert time.monotonic() - start > 0.3


WRONG = ["", "{", "[]", "1", '{"type": 1}', '{"type": "x"}', '{"type":"text"}', "\0", '"a"', "{}"]


def test_wrong_messages_are_answered_and_the_stream_goes_on(serving):
    with opened(serving(), "films") as stream:
        for text in WRONG:
            stream.send_text(text)
            (answer,) = rest_of(stream)
            assert answer["type"] == "error"
            assert answer["message"].endswith(".")
        (answer,) = ask(stream, {"type": "text", "text": "a film", "id": "x" * 200})
        assert "100 characters" in answer["message"]
        assert len(ask(stream, {"type": "text", "text": "a film"})) == 3


def test_a_stream_without_finite_numbers_harms_no_other(serving):
    client = serving()
    with opened(client, "language") as ill, opened(client, "language") as well:
        ask(ill, {"type": "text", "text": "The", "length": 0})
        _spoil(client.app_of_server.runs["language"].dialogues.pool)
        ill.send_json({"type": "text", "text": "x", "more": True, "length": 5})
        well.send_json({"type": "text", "text": "The ", "length": 20, "seed": 1})
        answers = rest_of(ill)
        assert answers[-1]["type"] == "error"
        wanted = small_model("language").generate("The ", length=20, seed=1)
        assert written(rest_of(well)) == wanted


def _spoil(pool):
    """Make the state of the text that was read NaN: that whose next token is known."""
    (row,) = [n for n in range(len(pool.logits)) if n not in pool._free and finite(pool, n)]
    state = pool.state_of(row)
    pool.set_state_of(
        row, {name: torch.full_like(value, torch.nan) for name, value in state.items()}
    )


def finite(pool, row):
    return bool(pool.logits[row].isfinite().all())


def test_work_of_a_client_that_went_ends(serving):
    client = serving()
    with client.websocket_connect("ws://localhost:8000/stream/language") as stream:
        stream.receive_json()
        stream.send_json({"type": "text", "text": "a", "length": 100_000})
        stream.receive_json()
    until_free(client.app_of_server)
