"""Exports of trained runs, and their evaluation."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner

import recurra
from helpers.small_models import FILMS, WAVES, small_model
from recurra.cli import main
from recurra.deploy.export import evaluate_exported, export
from recurra.deploy.export.export_target import check_agrees
from recurra.deploy.export.onnx_target import OnnxTarget
from recurra.errors import ConfigError, RunError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small language run."""
    path = tmp_path_factory.mktemp("runs") / "language"
    text = "the quick brown fox jumps over the lazy dog. " * 40
    model = recurra.LanguageModel(hidden=12, max_steps=20, window=20, batch_size=4)
    model.fit(text, out=path)
    return path


def test_an_exported_language_model_continues_a_text(run, tmp_path):
    model = recurra.load(run)
    (path,) = export(model, "onnx", tmp_path / "out")
    assert path == tmp_path / "out" / "model.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    kept = session.get_modelmeta().custom_metadata_map
    assert kept["task"] == "language"
    assert json.loads(kept["context"]) == model.run.config["context"]
    states = {i.name: i for i in session.get_inputs() if i.name != "input"}
    held = {name: np.zeros((1, 2, 12), np.float32) for name in states}
    tokens = torch.randint(0, 9, (7, 2))
    net = model.exportables()[0].net
    wanted, _ = net(tokens)
    found = []
    for step in tokens.unsqueeze(-1).numpy():
        y, *after = session.run(None, {"input": step[None], **held})
        held = dict(zip(states, after, strict=True))
        found.append(y[0])
    np.testing.assert_allclose(np.stack(found), wanted.detach().numpy(), rtol=1e-4, atol=1e-5)


NAMES = [
    "language",
    "words",
    "bytes",
    "films",
    "whole films",
    "speed",
    "sensor",
    "waves",
    "whole tags",
    "pen",
    "speech",
]


@pytest.mark.parametrize("name", NAMES)
def test_networks_of_every_kind_agree(name):
    model = small_model(name)
    for exportable in model.exportables():
        assert OnnxTarget().files(exportable, "model", {}).keys() == {"model.onnx"}


def test_the_evaluation_of_an_exported_model_is_its_own(run):
    model = recurra.load(run)
    text = "a quick brown dog jumps over the lazy fox. " * 9
    found = evaluate_exported(model, "onnx", text)
    assert found.evaluation.numbers == pytest.approx(found.own.numbers, rel=1e-5)
    assert found.evaluation.remarks[-1] == "Every figure is that of the run itself."
    assert "the highest of each is the same" in found.evaluation.remarks[-2]
    # The networks are themselves again.
    assert model.evaluate(text).numbers == found.own.numbers


def test_another_network_is_told_with_its_margins(run, monkeypatch):
    model = recurra.load(run)
    files = OnnxTarget.files

    def spoiled(self, exportable, name, metadata):
        (content,) = files(self, exportable, name, metadata).values()
        loaded = onnx.load_from_string(content)
        for constant in loaded.graph.initializer:
            if constant.data_type == onnx.TensorProto.FLOAT:
                value = onnx.numpy_helper.to_array(constant)
                rounded = onnx.numpy_helper.from_array(np.round(value, 1), constant.name)
                constant.CopyFrom(rounded)
        return {f"{name}.onnx": loaded.SerializeToString()}

    monkeypatch.setattr(OnnxTarget, "files", spoiled)
    found = evaluate_exported(model, "onnx", "the quick brown fox jumps. " * 9).evaluation
    assert any("Another is highest in batch 1, output (" in each for each in found.remarks)
    assert found.remarks[-1].startswith("Figures that differ from the run's: nats ")


def test_a_network_that_differs_is_not_published(run):
    (exportable,) = recurra.load(run).exportables()

    def other(x, lengths, states):
        y, _ = exportable.called(x, None, None)
        return y + 0.01 * y.abs().max(), None

    with pytest.raises(RunError, match="so it is not published"):
        check_agrees("onnx", exportable, other)


def test_an_evaluation_that_never_calls_the_network_is_refused(monkeypatch):
    model = small_model("sensor")
    monkeypatch.setattr("recurra.tasks.regress.estimate.CHUNK", 10)
    rows = np.random.default_rng(0).normal(size=(60, 2))
    data = [(rows, rows[:, :1])]
    with pytest.raises(ConfigError, match="never calls the network that is exported"):
        evaluate_exported(model, "onnx", data)


def test_a_number_for_a_sequence_has_no_highest_one():
    waves = [(wave, 0.1) for wave in WAVES]
    found = evaluate_exported(small_model("speed"), "onnx", waves).evaluation.remarks[-2]
    assert found.startswith("Exported to onnx: 20 outputs of the networks, the largest difference ")
    assert "highest" not in found


def test_weights_of_8_bits_are_smaller_and_scored(tmp_path):
    model = small_model("whole films")
    whole, small = (
        export(model, "onnx", tmp_path / form, weights=form)[0].stat().st_size
        for form in ("float32", "int8")
    )
    assert small < whole
    found = evaluate_exported(model, "onnx", [(text, "good") for text in FILMS], weights="int8")
    assert "Exported to onnx: " in " ".join(found.evaluation.remarks)


def test_what_can_not_be_exported_is_said(run, tmp_path):
    with pytest.raises(ConfigError, match="to = 'tflite'; a run is exported to onnx, c"):
        export(recurra.load(run), "tflite", tmp_path)
    with pytest.raises(ConfigError, match="forecast can't be exported"):
        export(small_model("reread sales"), "onnx", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_line(run, tmp_path):
    invoked = CliRunner().invoke(
        main, ["export", str(run), "--to", "onnx", "--out", str(tmp_path / "out")]
    )
    assert invoked.exit_code == 0
    assert "model.onnx: " in invoked.output
    text = tmp_path / "text.txt"
    text.write_text("the lazy dog jumps over the quick brown fox. " * 9)
    invoked = CliRunner().invoke(main, ["evaluate", str(run), str(text), "--exported", "onnx"])
    assert "Every figure is that of the run itself." in invoked.output
    invoked = CliRunner().invoke(main, ["evaluate", str(run), str(text), "--weights", "int8"])
    assert invoked.exit_code == 2
