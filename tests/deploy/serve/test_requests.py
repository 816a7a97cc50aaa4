"""Requests over HTTP: their answers, and what is refused with which status and sentence."""

import json

import pytest

from helpers.serving import until_free
from helpers.small_models import FILMS, dialogues, same, small_model
from recurra.deploy.page import PAGE_FILES
from recurra.tasks.dialogue import say

BODIES = {
    "language": ("generate", {"text": "The ", "length": 5, "seed": 1, "read": True}),
    "films": ("classify", {"text": FILMS[0]}),
    "whole": ("classify", {"text": FILMS[0]}),
    "tags": ("tag", {"text": "the dog runs"}),
    "sensor": ("regress", {"rows": [[0.1, 1], [0.2, None]]}),
    "mirror": ("translate", {"text": "abb"}),
    "pen": ("transcribe", {"points": [[1, 2, 1], [3, 4, 1], [9, 9, 0]]}),
    "speech": ("transcribe", {"rate": 8000, "samples": [0.1] * 900}),
    "sales": ("forecast", {"values": [3, 4]}),
}


def test_every_task_answers_as_its_dialogue_does(serving):
    client = serving(*BODIES)
    for name, (verb, body) in BODIES.items():
        answer = client.post(f"/{verb}/{name}", json=body)
        assert answer.status_code == 200, answer.text
        own = dialogues({"sales": "stepped sales", "whole": "whole films"}.get(name, name))
        local = own.open()
        wanted = say(local, {"type": own.message, **body})
        wanted += say(local, {"type": "finish"}) if own.ends else []
        local.close()
        assert same(answer.json()["answers"], wanted), name


def test_texts_are_streamed_line_by_line(serving):
    body = {"text": "The ", "length": 9, "seed": 1, "stream": True}
    answer = serving().post("/generate/language", json=body)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    *tokens, last = [json.loads(line) for line in answer.text.splitlines()]
    wanted = small_model("language").generate("The ", length=9, seed=1)
    assert "".join(token["text"] for token in tokens) == wanted
    assert last == {"type": "done"}


def test_runs_are_listed_with_what_a_client_needs(serving):
    runs = {run["name"]: run for run in serving(*BODIES).get("/runs").json()["runs"]}
    assert {name: run["verb"] for name, run in runs.items()} == {
        name: verb for name, (verb, _) in BODIES.items()
    }
    assert runs["films"]["options"]["labels"] == ["bad", "good"]
    assert runs["speech"]["options"]["rate"] == 8000
    assert (runs["films"]["streams"], runs["whole"]["streams"]) == (True, False)


def test_the_page_and_its_files_are_served_under_a_policy(serving):
    client = serving()
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in PAGE_FILES:
        assert client.get(f"/page/{name}").status_code == 200
    for name in ("__init__.py", "index.html", "..%2f__init__.py", "%2fetc%2fpasswd"):
        assert client.get(f"/page/{name}").status_code == 404


def test_health_readiness_and_metrics(serving):
    client = serving()
    client.post("/generate/language", json={"text": "a", "length": 3})
    assert client.get("/health").json() == {"status": "alive"}
    assert client.get("/ready").json() == {"status": "ready"}
    metrics = client.get("/metrics").text
    assert 'recurra_requests_total{path="/generate/{run}",status="200"} 1.0' in metrics
    assert "recurra_step_clients_count 4.0" in metrics
    assert "recurra_messages_under_way 0.0" in metrics


def refused(answer, status, sentence):
    assert answer.status_code == status, answer.text
    assert sentence in answer.json()["error"]
    return answer


BAD = [
    ("/generate/language", b"{", 400, "isn't JSON"),
    ("/generate/language", b"", 400, "isn't JSON"),
    ("/generate/language", b"\xff", 400, "isn't JSON"),
    ("/generate/language", b"[" * 100_000, 400, "isn't JSON"),
    ("/generate/language", b"[1]", 400, "JSON list"),
    ("/generate/language", b'{"text": "a", "length": -1}', 422, "length is -1"),
    ("/generate/language", b'{"text": "a", "type": "stop"}', 422, "has no type"),
    ("/generate/language", b'{"text": "a", "more": true}', 422, "has no more"),
    ("/generate/language", b'{"text": "a", "stream": 1}', 422, "stream is neither"),
    ("/generate/language", b'{"text": "a", "temperature": NaN}', 422, "temperature is nan"),
    ("/generate/language", b'{"text": "a", "path": "/etc/passwd"}', 422, "'path' that isn't"),
    ("/generate/nothing", b"{}", 404, "no run 'nothing'"),
    ("/generate/..%2f..%2fetc", b"{}", 404, "nothing at this path"),
    ("/generate/films", b"{}", 404, "POST /classify/films"),
    ("/classify/films", b'{"text": "a", "stream": true, "x": 1}', 422, "'x' that isn't known"),
    ("/nowhere", b"{}", 404, "nothing at this path"),
    ("/runs", b"{}", 405, "takes"),
]


@pytest.mark.parametrize(("path", "body", "status", "sentence"), BAD)
def test_bad_requests_are_sentences(serving, path, body, status, sentence):
    headers = {"content-type": "application/json"}
    refused(serving().post(path, content=body, headers=headers), status, sentence)


def test_other_contents_and_methods_are_refused(serving):
    client = serving()
    refused(client.post("/classify/films", content=b"{}"), 415, "application/json")
    refused(client.get("/classify/films"), 405, "POST")


def test_long_bodies_are_refused_whether_they_say_so_or_not(serving):
    client = serving(max_body=1000)
    headers = {"content-type": "application/json"}
    refused(client.post("/classify/films", json={"text": "a" * 2000}), 413, "1,000 bytes")
    parts = (b'{"text": "' + b"a" * 600 for _ in range(3))
    refused(client.post("/classify/films", content=parts, headers=headers), 413, "1,000 bytes")


def test_the_rate_of_a_client_is_limited(serving):
    client = serving(rate=2)
    statuses = [client.get("/runs").status_code for _ in range(8)]
    assert statuses[:4] == [200] * 4
    answer = refused(client.get("/runs"), 429, "2 requests a second")
    assert int(answer.headers["retry-after"]) >= 1
    assert client.get("/health").status_code == 200


def test_a_full_server_says_when_to_come_again(serving):
    client = serving(max_sessions=1)
    with client.websocket_connect("ws://localhost:8000/stream/language"):
        answer = refused(client.post("/classify/films", json={"text": "a"}), 503, "1 streams")
        assert answer.headers["retry-after"] == "1"
    until_free(client.app_of_server)
    assert client.post("/classify/films", json={"text": "a"}).status_code == 200


def test_a_full_queue_refuses_and_gives_the_place_back(serving):
    client = serving(queue=1)
    with client.websocket_connect("ws://localhost:8000/stream/language") as stream:
        stream.receive_json()
        stream.send_json({"type": "text", "text": "a", "length": 100_000})
        stream.receive_json()
        refused(client.post("/generate/language", json={"text": "a"}), 503, "under way")
        assert client.app_of_server.places.taken == 1
        stream.send_json({"type": "stop"})


def test_a_token_is_asked_for_everywhere_but_of_health(serving):
    client = serving(token="s3cret")
    answer = refused(client.get("/runs"), 401, "Bearer")
    assert "Basic" in answer.headers["www-authenticate"]
    for wrong in ("Bearer s3cre", "Bearer", "Basic x", "Basic YTpi", "s3cret", "Bearer é"):
        headers = {"authorization": wrong.encode()}
        refused(client.get("/runs", headers=headers), 401, "token")
    right = {"authorization": "Bearer s3cret"}
    assert client.get("/runs", headers=right).status_code == 200
    assert client.get("/", auth=("me", "s3cret")).status_code == 200  # as a browser asks for it
    assert client.get("/health").status_code == 200
    assert "security" in client.get("/openapi.json", headers=right).json()


def test_names_that_were_made_to_lead_here_are_refused(serving):
    client = serving()
    refused(client.get("/runs", headers={"host": "evil.example:8000"}), 421, "evil.example")
    for host in ("localhost", "127.0.0.1:8000", "[::1]:8000"):
        assert client.get("/runs", headers={"host": host}).status_code == 200


def test_other_origins_get_no_leave_unless_they_were_allowed(serving):
    headers = {"origin": "https://example.org"}
    answer = serving().get("/runs", headers=headers)
    assert "access-control-allow-origin" not in answer.headers
    client = serving(allow_origins=("https://example.org",))
    allowed = client.get("/runs", headers=headers).headers["access-control-allow-origin"]
    assert allowed == "https://example.org"
    other = client.get("/runs", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers
