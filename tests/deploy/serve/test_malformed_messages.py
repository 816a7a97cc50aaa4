"""Messages that nobody should send: each gets a sentence, and the server lives on."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.small_models import dialogues

TestClient = pytest.importorskip("starlette.testclient", reason="starlette isn't installed")

RUNS = ("language", "films", "sensor", "pen", "speech", "stepped sales", "mirror", "tags")
TYPES = ("open", "text", "values", "points", "sound", "observe", "finish", "reset", "save")
NAMES = (
    *("text", "more", "length", "temperature", "top_k", "top_p", "seed", "read", "state", "rows"),
    *("times", "points", "rate", "samples", "values", "series", "lag", "beam", "saved", "id"),
)
SMALL = st.integers(-3, 5)
PLAIN = st.one_of(st.none(), st.booleans(), SMALL, st.integers(), st.floats(), st.text(max_size=6))
VALUES = st.one_of(
    PLAIN,
    st.lists(st.one_of(PLAIN, st.lists(st.one_of(SMALL, st.floats(), st.none()), max_size=3))),
    st.dictionaries(st.text(max_size=3), PLAIN, max_size=2),
)
MESSAGES = st.one_of(
    st.text(max_size=30),
    VALUES.map(json.dumps),
    st.builds(
        lambda kind, rest: json.dumps({"type": kind, **rest}),
        st.one_of(st.sampled_from(TYPES), PLAIN),
        st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=3)), VALUES, max_size=4),
    ),
    st.binary(max_size=20),
)


def application():
    from recurra.deploy.serve.serve_app import ServeApp
    from recurra.deploy.serve.serve_options import ServeOptions

    runs = {name.split()[-1]: dialogues(name) for name in RUNS}
    return ServeApp(runs, ServeOptions(rate=0, max_sessions=8)).asgi


@pytest.fixture(scope="module")
def client():
    with TestClient.TestClient(application(), base_url="http://localhost") as found:
        yield found


def _hold(client, run, messages):
    """Send messages to a stream: each has its end, none a failure of ours, and it goes on."""
    with client.websocket_connect(f"ws://localhost/stream/{run}") as stream:
        while stream.receive_json()["type"] == "opened" and run == "sales":
            pass
        for message in messages:
            if isinstance(message, bytes):
                stream.send_bytes(message)
            else:
                stream.send_text(_brief(message))
            while (answer := stream.receive_json())["type"] not in ("done", "error"):
                pass
            assert "server failed" not in answer.get("message", ""), message
        stream.send_json({"type": "reset", "id": "last"})
        while (answer := stream.receive_json()).get("id") != "last":
            pass
        assert answer["type"] == "done"


def _brief(text):
    """The message, or one that writes less where it would write for long."""
    try:
        fields = json.loads(text)
    except ValueError:
        return text
    if isinstance(fields, dict) and fields.get("type") == "text":
        length = fields.get("length", 3)
        if isinstance(length, (int, float)) and length > 3:
            return json.dumps({**fields, "length": 3})
        return json.dumps({**fields, "length": length})
    return text


HOW = {"deadline": None, "suppress_health_check": list(HealthCheck)}
RUN_NAMES = st.sampled_from([name.split()[-1] for name in RUNS])


@settings(max_examples=60, **HOW)
@given(run=RUN_NAMES, messages=st.lists(MESSAGES, max_size=5))
def test_malformed_messages_of_streams(client, run, messages):
    _hold(client, run, messages)


@pytest.mark.slow
@settings(max_examples=2_500, **HOW)
@given(run=RUN_NAMES, messages=st.lists(MESSAGES, min_size=4, max_size=5))
def test_ten_thousand_malformed_messages(client, run, messages):
    _hold(client, run, messages)


VERBS = {
    **{"language": "generate", "films": "classify", "sensor": "regress", "pen": "transcribe"},
    **{"speech": "transcribe", "sales": "forecast", "mirror": "translate", "tags": "tag"},
}


@settings(max_examples=100, **HOW)
@given(run=RUN_NAMES, body=MESSAGES)
def test_malformed_bodies_of_requests(client, run, body):
    content = body if isinstance(body, bytes) else _brief(body).encode("utf-8", "surrogatepass")
    headers = {"content-type": "application/json"}
    answer = client.post(f"/{VERBS[run]}/{run}", content=content, headers=headers)
    assert answer.status_code in (200, 400, 422), (answer.text, body)
    assert answer.json().keys() in ({"answers"}, {"error"})


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_the_description_is_true(mode):
    """What schemathesis makes of it, and what it makes to break it."""
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis isn't installed")
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    own = {"Host": "localhost"}
    found = schemathesis.openapi.from_asgi("/openapi.json", application(), headers=own)
    how = {"generation_mode": schemathesis.GenerationMode(mode)}
    tried = 0
    for result in found.get_all_operations():
        operation = result.ok()
        if mode == "negative" and operation.method == "get":
            continue  # there is nothing in it that could be wrong

        @settings(max_examples=12, derandomize=True, **HOW)
        @given(case=operation.as_strategy(**how))
        def check(case):
            nonlocal tried
            tried += 1
            if isinstance(case.body, dict) and isinstance(case.body.get("length"), int):
                case.body["length"] = min(case.body["length"], 3)
            # A description can't say how wide a model's rows are, or that a text has words.
            case.call_and_validate(headers=own, excluded_checks=[positive_data_acceptance])

        check()
    assert tried > 50
