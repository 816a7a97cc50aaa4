"""Dialogues of every task: the answers of local sessions and of `predict`, whoever else talks."""

import json
import math
import random

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.small_models import FILMS, WAVES, dialogues, same, small_model
from recurra.errors import DataError, RecurraError, RunError
from recurra.tasks.client_message import ClientMessage
from recurra.tasks.dialogue import PoolStep, say
from recurra.tasks.long_range.task import TASK


def talk(name, *messages):
    """All answers of a new client to messages, one after another."""
    dialogue = dialogues(name).open()
    try:
        return [answer for message in messages for answer in say(dialogue, message)]
    finally:
        dialogue.close()


def text_of(answers):
    return "".join(a["text"] for a in answers if not a.get("read"))


@pytest.mark.parametrize("name", ["language", "words", "bytes"])
@pytest.mark.parametrize("prompt", ["", "The rain", "A cell\nkeeps "])
def test_texts_go_on_as_the_model_writes_them(name, prompt):
    how = {"length": 30, "seed": 3, "temperature": 0.8, "top_k": 20}
    answers = talk(name, {"type": "text", "text": prompt, **how})
    assert text_of(answers) == small_model(name).generate(prompt, **how)
    assert all(a["surprisal"] is None or a["surprisal"] > 0 for a in answers)


@pytest.mark.parametrize("name", ["language", "words", "bytes"])
def test_surprisals_are_those_of_a_session_for_any_parts(name):
    text, draw = "The rain went on.\r\nA cell keeps é what it needs", random.Random(0)
    session = small_model(name).session()
    wanted = session.feed(text) + session.finish()
    places = sorted(draw.sample(range(1, len(text)), 5))
    parts = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    feed = [{"type": "text", "text": p, "more": True, "length": 0, "read": True} for p in parts]
    dialogue = dialogues(name).open()
    found = [a["surprisal"] for message in feed for a in say(dialogue, message)]
    found += [a["surprisal"] for a in say(dialogue, {"type": "finish"})]
    dialogue.close()
    assert found[0] is None
    np.testing.assert_allclose(found[1:], wanted[: len(found) - 1], rtol=1e-4)
    assert len(found) >= len(wanted)  # of words, the last was waiting for its end


def test_the_hidden_state_comes_as_far_as_it_is_asked_for():
    (answer,) = talk("language", {"type": "text", "length": 1, "state": 3})
    (whole,) = talk("language", {"type": "text", "length": 1, "state": 4096})
    assert (len(answer["state"]), len(whole["state"])) == (3, 16)
    assert any(whole["state"])


def steps_of_films(text):
    session = small_model("films").session()
    return session.feed(text.split()) + session.finish()


def test_classes_after_every_word():
    answers = talk("films", {"type": "text", "text": FILMS[0]})
    wanted = steps_of_films(FILMS[0])
    assert [a["step"] for a in answers] == list(range(len(wanted)))
    assert [a["label"] for a in answers] == [each.prediction for each in wanted]
    np.testing.assert_allclose(
        [a["probabilities"] for a in answers], [each.probabilities for each in wanted], rtol=1e-5
    )


def test_parts_of_an_input_are_one():
    parts = [{"type": "text", "text": word, "more": True} for word in FILMS[0].split()]
    found = talk("films", *parts, {"type": "finish"})
    assert same(found, talk("films", {"type": "text", "text": FILMS[0]}))


def test_whole_inputs_are_answered_as_by_predict():
    film, model = FILMS[3], small_model("whole films")
    (answer,) = talk("whole films", {"type": "text", "text": film})
    np.testing.assert_allclose(answer["probabilities"], model.predict_proba([film])[0], rtol=1e-5)
    (answer,) = talk("speed", {"type": "values", "rows": WAVES[0].tolist()})
    assert answer["value"] == pytest.approx(small_model("speed").predict([WAVES[0]])[0], rel=1e-4)
    assert answer["low"] < answer["value"] < answer["high"]
    (answer,) = talk("whole tags", {"type": "text", "text": "the dog runs"})
    assert answer["words"] == ["the", "dog", "runs"]
    assert answer["tags"] == small_model("whole tags").predict([["the", "dog", "runs"]])[0]
    (answer,) = talk("mirror", {"type": "text", "text": "abb"})
    assert answer["text"] == small_model("mirror").translate(["abb"])[0]
    assert answer["source"] == ["a", "b", "b"]
    assert "notes" not in answer
    (answer,) = talk("mirror", {"type": "text", "text": "aqb"})
    assert answer["notes"] == ["1 token of the text ('q') is unknown to the model."]


def test_series_are_answered_after_every_step():
    answers = talk("sensor", {"type": "values", "rows": [[0.1, 1], [0.2, None], [0.3, 3]]})
    session = small_model("sensor").session()
    values = np.array([[0.1, 1], [0.2, np.nan], [0.3, 3]])
    wanted = [each.prediction[0] for each in session.feed(values) + session.finish()]
    np.testing.assert_allclose([a["value"] for a in answers], wanted, rtol=1e-5)
    assert len(talk("waves", {"type": "values", "rows": WAVES[0].tolist()})) > 5


def test_tags_come_late_as_asked():
    late = {"type": "open", "lag": 1}
    first, last = talk(
        "tags", late, {"type": "text", "text": "a cat", "more": True}, {"type": "finish"}
    )
    assert (first["words"], last["words"], last["start"]) == (["a"], ["cat"], 1)


def test_forecasts_follow_observations():
    for name in ("stepped sales", "reread sales"):
        dialogue = dialogues(name).open()
        (begun,) = dialogue.begin()
        (moved,) = say(dialogue, {"type": "observe", "values": [6, 7, None, 9]})
        assert moved["history"][-4:] == [6, 7, None, 9]
        assert len(moved["median"]) == 6
        assert moved["median"] != begun["median"]
        for level in moved["intervals"]:
            assert all(a <= b for a, b in zip(level["low"], level["high"], strict=True))
        assert say(dialogue, {"type": "reset"}) == [begun]
        (other,) = say(dialogue, {"type": "open", "series": "b"})
        assert other["series"] == "b"


def test_a_forecast_that_reads_its_look_back_is_that_of_a_longer_table():
    model = small_model("reread sales")
    hours = pd.date_range("2024-01-01", periods=152, freq="h")
    values = [*(np.arange(150) % 24), 7.0, 8.0]
    table = pd.DataFrame({"unique_id": "a", "ds": hours, "y": values})
    wanted = model.predict(table)["recurra"]
    (found,) = talk("reread sales", {"type": "observe", "values": [7, 8]})
    np.testing.assert_allclose(found["median"], wanted, rtol=1e-4)


def test_a_forecast_by_steps_is_that_of_a_stream():
    stream = small_model("stepped sales").stream()
    stream.update({"a": 7.0})
    wanted = stream.predict().query("unique_id == 'a'")
    (found,) = talk("stepped sales", {"type": "observe", "values": [7]})
    np.testing.assert_allclose(found["median"], wanted["recurra"], rtol=1e-4)
    np.testing.assert_allclose(found["intervals"][0]["low"], wanted["recurra-lo-80"], rtol=1e-4)


POINTS = [[10, 20, 1], [12, 30, 1], [15, 40, 0], [30, 20, 1], [33, 44, 1], [35, 40, 0]]


def test_ink_is_read_stroke_by_stroke_and_as_a_whole():
    points = np.array(POINTS, float)
    session = small_model("pen").session()
    settled = session.feed(points[:3, :2], pen_up=True) + session.feed(points[3:, :2], pen_up=True)
    text = "".join(span.text for span in settled + session.finish())
    *_, last = talk("pen", {"type": "points", "points": POINTS}, {"type": "finish"})
    assert (last["settled"], last["partial"]) == (text, "")
    (whole,) = talk("whole pen", {"type": "points", "points": POINTS}, {"type": "finish"})
    assert whole["partial"] == ""


def test_sound_of_another_rate_is_heard():
    noise = (np.random.default_rng(0).normal(size=16000) / 10).astype("f4")
    session = small_model("speech").session(rate=16000)
    text = "".join(span.text for span in session.feed(noise) + session.finish())
    message = {"type": "sound", "rate": 16000, "samples": noise.tolist()}
    *_, last = talk("speech", message, {"type": "finish"})
    assert last["settled"] == text
    with pytest.raises(DataError, match="rate is 8000"):
        talk("speech", message, {**message, "rate": 8000})


MESSAGES = {
    "language": [
        {"type": "text", "text": text, "more": True, "length": 3, "seed": 1, "read": True}
        for text in ("The rain ", "went", " on.\n")
    ],
    "bytes": [{"type": "text", "text": "é", "more": True, "length": 2, "seed": 2}] * 3,
    "films": [{"type": "text", "text": word, "more": True} for word in ("a", "fine", "film")],
    "whole films": [{"type": "text", "text": word, "more": True} for word in ("a ", "sad ")],
    "tags": [{"type": "text", "text": word, "more": True} for word in ("the", "dog")],
    "sensor": [{"type": "values", "rows": [[n, 1]], "more": True} for n in range(4)],
    "waves": [{"type": "values", "rows": [[n / 9]] * 5, "more": True} for n in range(4)],
    "pen": [{"type": "points", "points": POINTS[n : n + 2]} for n in (0, 2, 4)],
    "whole pen": [{"type": "points", "points": POINTS[:3]}, {"type": "points", "points": POINTS}],
    "speech": [{"type": "sound", "samples": [0.1, -0.1] * 900}] * 3,
    "stepped sales": [{"type": "observe", "values": [n]} for n in (3, 4, 5)],
    "reread sales": [{"type": "observe", "values": [n], "series": "b"} for n in (3, 4, 5)],
    "mirror": [{"type": "text", "text": "ab"}, {"type": "text", "text": "bba"}],
}
END = {"type": "finish"}


@pytest.mark.parametrize("name", MESSAGES)
def test_clients_that_talk_at_the_same_time_hear_what_each_hears_alone(name):
    wanted = talk(name, *MESSAGES[name], END)
    clients = [dialogues(name).open() for _ in range(3)]
    heard = [[] for _ in clients]
    left = [[*MESSAGES[name], END] for _ in clients]
    draw = random.Random(1)
    while any(left):
        n = draw.choice([n for n, messages in enumerate(left) if messages])
        heard[n] += say(clients[n], left[n].pop(0))
    for client in clients:
        client.close()
    assert [same(answers, wanted) for answers in heard] == [True] * 3


@pytest.mark.parametrize("name", MESSAGES)
def test_a_state_goes_to_another_dialogue(name):
    first, second = dialogues(name).open(), dialogues(name).open()
    say(first, MESSAGES[name][0])
    say(second, MESSAGES[name][-1])
    saved = first.save()
    second.restore(saved)
    rest = [*MESSAGES[name][1:], END]
    if name == "bytes":  # bytes of a character that was cut
        rest = rest[1:]
    found, wanted = ([a for m in rest for a in say(client, m)] for client in (second, first))
    first.close()
    second.close()
    assert same(found, wanted)
    with pytest.raises(RunError):
        dialogues("films" if name == "tags" else "tags").open().restore(saved)


def test_clients_texts_are_steps_of_one_batch():
    pool, clients = dialogues("language").pool, [dialogues("language").open() for _ in range(3)]
    prompts = ["The", "A cell", "rain"]
    alone = [talk("language", written(text)) for text in prompts]
    works = [
        client.work(ClientMessage(written(text)))
        for client, text in zip(clients, prompts, strict=True)
    ]
    heard, sizes = together(works)
    for client in clients:
        client.close()
    assert sizes[0] == 3
    assert all(same(*pair) for pair in zip(heard, alone, strict=True))
    assert pool.logits.shape[0] == 8


def written(text):
    return {"type": "text", "text": text, "length": 10, "seed": 5}


def together(works):
    """The answers of several works whose pooled steps are one, and how many took part in each."""
    heard, values, sizes = [[] for _ in works], [None] * len(works), []
    left = set(range(len(works)))
    while left:
        waiting = {}
        for n in sorted(left):
            try:
                part = works[n].send(values[n])
            except StopIteration:
                left.discard(n)
                continue
            values[n] = None
            if isinstance(part, PoolStep):
                waiting[n] = part
            else:
                heard[n] += part
        if waiting:
            pool = next(iter(waiting.values())).pool
            results = pool.step([step.item for step in waiting.values()])
            values = [dict(zip(waiting, results, strict=True)).get(n) for n in range(len(works))]
            sizes.append(len(waiting))
    return heard, sizes


def test_a_text_that_is_not_finite_stays_alone():
    first, second = dialogues("language").open(), dialogues("language").open()
    say(first, written("The"))
    saved = {name: value.clone() for name, value in first.state().items()}
    for name in saved:
        if name.startswith("state."):
            saved[name] = torch.full_like(saved[name], torch.nan)
    first.set_state(saved)
    works = [
        first.work(ClientMessage({"type": "text", "text": "x", "more": True, "length": 0})),
        second.work(ClientMessage(written("The"))),
    ]
    heard, _ = together(works)
    assert same(heard[1], talk("language", written("The")))
    with pytest.raises(DataError, match="no longer finite"):
        say(first, {"type": "text", "text": "x", "more": True, "length": 1})
    assert say(first, written("The")) == talk("language", written("The"))  # it begins anew
    first.close()
    second.close()


WRONG = [
    ("sensor", {"type": "values", "rows": [[1, math.nan]]}, r"rows\[0\]\[1\] is nan"),
    ("sensor", {"type": "values", "rows": [[1, 2], [1e39, 1]]}, r"rows\[1\]\[0\]"),
    ("sensor", {"type": "values", "rows": [[1, 10**400]]}, r"rows\[0\]\[1\] is an immense"),
    ("sensor", {"type": "values", "rows": [[1, True]]}, r"rows\[0\]\[1\] is True"),
    ("sensor", {"type": "values", "rows": [[1]]}, "2 numbers in each row"),
    ("sensor", {"type": "values", "rows": "x"}, "rows is 'x'"),
    ("sensor", {"type": "values", "rows": [[1, 2]], "times": [1]}, "doesn't use times"),
    ("speech", {"type": "sound", "samples": [0, math.inf]}, r"samples\[1\] is inf"),
    ("speech", {"type": "sound", "samples": [None]}, r"samples\[0\] is null"),
    ("speech", {"type": "sound", "samples": [0], "rate": 5}, "rate is 5"),
    ("pen", {"type": "points", "points": [[1, 2, 3]]}, r"points\[0\]\[2\] is 3"),
    ("pen", {"type": "points", "points": [[1, 2]]}, "3 numbers"),
    ("stepped sales", {"type": "observe", "values": [-math.inf]}, r"values\[0\] is -inf"),
    ("stepped sales", {"type": "observe", "values": [1], "series": "../a"}, "no series"),
    ("language", {"type": "text", "text": "a", "lenght": 3}, "'lenght' that isn't known"),
    ("language", {"type": "text", "text": "\ud800"}, "lone surrogate"),
    ("language", {"type": "text", "text": "a", "temperature": math.nan}, "temperature is nan"),
    ("language", {"type": "text", "text": "a", "top_p": 0}, "top_p"),
    ("language", {"type": "text", "text": 3}, "text is 3"),
    ("films", {"type": "text", "text": " "}, "no words"),
    ("films", {"type": "text"}, "needs text"),
    ("films", {"type": "sound"}, "type 'sound'; this run takes open, text"),
    ("films", {"type": 3}, "type is 3"),
    ("films", {"type": "open", "lag": 3}, "'lag' that isn't known"),
    ("mirror", {"type": "text", "text": "a" * 6000}, "6,000 characters"),
    ("whole pen", {"type": "finish"}, "empty"),
]


@pytest.mark.parametrize(("name", "message", "sentence"), WRONG)
def test_what_can_t_be_is_refused_with_its_place_and_changes_nothing(name, message, sentence):
    dialogue = dialogues(name).open()
    with pytest.raises(RecurraError, match=sentence):
        say(dialogue, message)
    found = say(dialogue, MESSAGES[name][0])
    dialogue.close()
    assert same(found, talk(name, MESSAGES[name][0]))


@pytest.mark.parametrize("name", MESSAGES)
def test_descriptions_are_json(name):
    described = json.loads(json.dumps(dialogues(name).describe()))
    assert described["task"] == small_model(name).task.name()
    assert described["input"] in ("text", "numbers", "ink", "sound")


def test_models_that_can_t_be_served_say_why():
    with pytest.raises(RecurraError, match="isn't served"):
        TASK(TASK.configuration()).dialogues(None, 1)
