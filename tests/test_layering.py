"""Who may import whom: every import of the package, those inside functions and by name too."""

import ast
import inspect
import sys
from pathlib import Path

import pytest

import recurra

ROOT = Path(recurra.__file__).parent
LEAVES = {"errors", "files", "interrupts", "processes", "lazy", "ragged", "settings"}

# A layer may import these layers, the leaves and itself; `__version__` is free to all.
LAYERS = {
    "ir": set(),
    "errors": {"ir"},
    "settings": set(),
    "files": set(),
    "lazy": set(),
    "interrupts": set(),
    "processes": {"errors", "interrupts"},
    "ragged": set(),
    "cells": {"ir"},
    "passes": {"ir"},
    "engines": {"passes", "ir"},
    "operator": {"engines", "passes", "ir"},
    "compile": {"operator", "engines", "cells", "ir"},
    "nn": {"compile", "cells", "ir"},
    "config": set(),
    "runs": set(),
    "insight": {"nn", "cells", "runs", "config"},
    "training": {"nn", "runs", "config"},
    "data": set(),
    "decoding": set(),
    "metrics": set(),
    "plots": set(),
    "reports": {"plots", "insight"},
    "tasks": {
        "training",
        "insight",
        "reports",
        "plots",
        "data",
        "decoding",
        "metrics",
        "runs",
        "config",
        "nn",
        "cells",
    },
    "compare": {"tasks", "training", "insight", "reports", "plots", "runs", "config", "nn"},
    "tuning": {"tasks", "training", "reports", "runs", "config", "cells"},
    "bench": {"nn", "cells", "engines", "plots"},
    "deploy": {"tasks", "runs", "nn", "compile", "cells", "ir"},
}
ALL = set(LAYERS) | {"cli"}
LAYERS |= {"cli": ALL, "__main__": {"cli"}, "__init__": ALL}

# Engines, which don't know one another; all of them may ask the interpreter for a cell's meaning.
APART = {"cpu", "torch_fused"}
INTERFACE = {"base", "torch_layout", "recorded"}  # of engines, for those who stand above them

TASKS = {
    "classify",
    "forecast",
    "language",
    "long_range",
    "regress",
    "tag",
    "transcribe",
    "translate",
}  # packages of tasks; the other files are shared
TASKS_BY_NAME = {  # outside the tasks, these files alone name one
    "__init__.py",
    "cli/forecast.py",
    "cli/forecast_report.py",
    "cli/generate.py",
    "cli/transcribe.py",
    "cli/translate.py",
}

# A package from outside is imported in these layers and files alone.
OUTSIDE = {
    "torch": {
        "ragged",
        "engines",
        "operator",
        "compile",
        "nn",
        "insight",
        "reports",
        "bench",
        "runs",
        "training",
        "decoding",
        "tasks",
        "compare",
        "tuning",
        "deploy",
    },
    "numpy": {
        "nn",
        "insight",
        "plots",
        "training",
        "data",
        "decoding",
        "metrics",
        "tasks",
        "deploy",
    },
    "safetensors": {"runs", "nn", "tasks", "deploy"},
    "click": {"cli"},
    "rich": {"cli", "training/progress.py"},
    "tensorboard": {"training"},
    "matplotlib": {"plots"},
    "utilsforecast": {"tasks/forecast/evaluation/scores.py"},
    "pandas": {"data/tables/table.py"},
    "pyarrow": {"data/tables/table.py"},
    "narwhals": {"data/tables/table.py"},
    "soundfile": {"data/audio/sound.py"},
    "soxr": {"data/audio/resampler.py"},
    "kaldi_native_fbank": {"data/audio/log_mel.py"},
    "PIL": {"data/images/image_file.py"},
    "jiwer": {"metrics/transcription.py"},
    "sacrebleu": {"metrics/translation_quality.py"},
    "flashlight": {"decoding/flashlight.py"},
    "optuna": {"tuning/study.py"},
    "sklearn": {"tasks/sklearn_tags.py"},
    "tokenizers": {"data/texts/subwords.py"},
    "llvmlite": {"engines/cpu/jit/llvm.py"},
    "starlette": {"deploy/serve/libraries.py"},
    "uvicorn": {"deploy/serve/libraries.py"},
    "websockets": {"deploy/serve/libraries.py"},
    "prometheus_client": {"deploy/serve/libraries.py"},
    "wasmtime": {"deploy/export/web_assembly.py"},
    "onnx": {"deploy/export/onnx_graph.py"},
    "onnxruntime": {"deploy/export/onnx_target.py"},
    "triton": {"engines"},
}
TORCH_IN_DATA = {"data/batches.py", "data/vocabulary.py"}  # what they give is tensors


def files():
    return sorted(ROOT.rglob("*.py"))


def name_of(path):
    """`nn/layers/rnn.py` for a file of the package."""
    return path.relative_to(ROOT).as_posix()


def layer_of(name):
    return name.partition("/")[0].removesuffix(".py")


def is_module(dotted):
    path = ROOT.parent.joinpath(*dotted.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imports(path):
    """Every module that a file imports, by its full name: `recurra.ir.graph`, `torch`, ..."""
    package = ["recurra", *path.relative_to(ROOT).parent.parts]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from imports_by_name(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            inner = [f"{module}.{a.name}" for a in node.names]
            yield from (i if is_module(i) else module for i in inner)


def imports_by_name(tree):
    """What `importlib.import_module` is given as a text, itself or through a function around it."""
    importers = {"import_module"}
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        names = {argument.arg for argument in function.args.args}
        given = [a for a in first_arguments(function, importers) if isinstance(a, ast.Name)]
        if any(argument.id in names for argument in given):
            importers.add(function.name)
    for argument in first_arguments(tree, importers):
        if isinstance(argument, ast.Constant):
            yield argument.value


def first_arguments(tree, functions):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "attr", getattr(node.func, "id", None))
            if name in functions:
                yield node.args[0]


IMPORTS = [(name_of(p), target) for p in files() for target in imports(p)]
OWN = [(name, target) for name, target in IMPORTS if target.partition(".")[0] == "recurra"]
FOREIGN = [(name, target.partition(".")[0]) for name, target in IMPORTS]
FOREIGN = sorted(
    {(n, t) for n, t in FOREIGN if t != "recurra" and t not in sys.stdlib_module_names}
)


def test_the_walk_finds_the_package():
    assert len(files()) > 85
    assert len(OWN) > 220
    assert len(FOREIGN) > 40
    assert {layer_of(name_of(p)) for p in files()} <= LAYERS.keys()


def test_the_walk_finds_imports_by_name():
    text = """
        def heavy(package):
            return importlib.import_module(package)
        pandas = importlib.import_module("pandas")
        arrow, own = heavy("pyarrow.csv"), import_module(f"recurra.{name}")
    """
    assert {*imports_by_name(ast.parse(inspect.cleandoc(text)))} == {"pandas", "pyarrow.csv"}
    by_name = {"pandas", "pyarrow", "narwhals", "llvmlite"}
    assert by_name <= {package for _, package in FOREIGN}


def is_allowed(name, target):
    layer, _, rest = target.removeprefix("recurra").lstrip(".").partition(".")
    own, inner = layer_of(name), rest.partition(".")[0]
    if not layer:  # the root: its version alone, which a test of its own holds to
        return True
    if layer == "lazy":
        return name.endswith("__init__.py")
    if own == "config":
        return layer in {"config", "errors"}
    if layer == "tasks" and inner in TASKS:
        return name in TASKS_BY_NAME or name.startswith(f"tasks/{inner}/")
    if own == layer == "engines" and rest:
        sibling = name.split("/")[1].removesuffix(".py")
        return sibling == inner or inner not in APART or sibling in ("choice", "__init__")
    return layer in LAYERS[own] | {own} or (layer in LEAVES and own not in {"ir", *LEAVES})


@pytest.mark.parametrize("layer", LAYERS)
def test_layers(layer):
    own = {(name, target) for name, target in OWN if layer_of(name) == layer}
    assert not {pair for pair in own if not is_allowed(*pair)}


def test_every_package_of_a_task_is_known():
    packages = {path.parent.name for path in (ROOT / "tasks").glob("*/task.py")}
    assert packages == TASKS


@pytest.mark.parametrize(
    ("name", "target", "allowed"),
    [
        ("tasks/language/task.py", "recurra.tasks.estimator", True),
        ("tasks/language/task.py", "recurra.tasks.language.model", True),
        ("tasks/language/task.py", "recurra.tasks.forecast.model", False),
        ("tasks/estimator.py", "recurra.tasks.task", True),
        ("tasks/registry.py", "recurra.tasks.language.config", False),
        ("cli/train.py", "recurra.tasks.registry", True),
        ("cli/train.py", "recurra.tasks.language", False),
        ("compare/trials.py", "recurra.tasks.long_range.model", False),
        ("training/__init__.py", "recurra.lazy", True),
        ("training/training_loop.py", "recurra.lazy", False),
        ("config/task_config.py", "recurra.errors", True),
        ("config/task_config.py", "recurra.files", False),
        ("training/training_loop.py", "recurra.insight.flow", False),
        ("engines/cpu/run/call.py", "recurra.engines.interpreter", True),
        ("engines/interpreter.py", "recurra.engines.cpu.plan", False),
    ],
)
def test_the_walk_tells_what_is_allowed(name, target, allowed):
    assert is_allowed(name, target) == allowed


def test_the_root_gives_its_version_and_nothing_else():
    found = 0
    for path in files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.ImportFrom)
                and node.module == "recurra"
                and path.parent != ROOT
            ):
                names = {a.name for a in node.names if not is_module(f"recurra.{a.name}")}
                assert names <= {"__version__"}, name_of(path)
                found += 1
    assert found


@pytest.mark.parametrize("package", sorted({p for _, p in FOREIGN} | OUTSIDE.keys()))
def test_outside_packages(package):
    places = OUTSIDE[package] | (TORCH_IN_DATA if package == "torch" else set())
    names = {name for name, found in FOREIGN if found == package}
    assert not {name for name in names if layer_of(name) not in places and name not in places}


def test_the_language_stands_on_python_alone():
    for layer in ("ir", "cells", "settings.py", "errors.py"):
        assert not [f for f in FOREIGN if f[0].startswith(layer)]
    assert not [t for n, t in OWN if n.startswith("ir/") and not t.startswith("recurra.ir")]


def test_one_file_of_nn_reaches_the_compiler():
    reaching = {n for n, t in OWN if n.startswith("nn/") and t.startswith("recurra.compile")}
    assert reaching == {"nn/execute.py"}


def test_engines_are_known_by_their_interface():
    """Who runs cells asks what an engine can do; a benchmark of the processor asks its compiler."""
    above = [(n, t) for n, t in OWN if t.startswith("recurra.engines.") and not n.startswith("eng")]
    assert {n for n, t in above if t.split(".")[2] not in INTERFACE} == {"bench/measurement.py"}
    devices = [name_of(p) for p in files() if any(a.endswith(".is_cpu") for a in attributes(p))]
    assert not [name for name in devices if not name.startswith("engines/")]


CPU_ROOMS = {
    "plan": set(),
    "emit": {"plan"},
    "jit": {"plan/target"},
    "run": {"plan", "emit", "jit"},
}


def test_rooms_of_the_cpu_engine():
    """Plan, then text, then code, then calls: none knows what comes after it."""
    found = 0
    for name, target in OWN:
        own = name.removeprefix("engines/cpu/").split("/")
        inner = target.removeprefix("recurra.engines.cpu.").split(".")
        if own[0] not in CPU_ROOMS or inner[0] not in CPU_ROOMS or own[0] == inner[0]:
            continue
        found += 1
        assert {inner[0], "/".join(inner[:2])} & CPU_ROOMS[own[0]], (name, target)
    assert found > 20


@pytest.mark.parametrize("package", ["llvmlite", "triton"])
def test_compilers_are_imported_in_one_file(package):
    assert len({name for name, target in FOREIGN if target == package}) <= 1


def attributes(path):
    """Every dotted name that a file uses: `os.environ`, `torch.set_num_threads`, ..."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


NEVER = {
    "os.environ": {"settings.py"},
    "os.getenv": {"settings.py"},
    "torch.set_num_threads": {"bench/measurement.py", "deploy/serve/server.py"},  # asked to
    "torch.load": set(),
    "torch.save": set(),
    "torch.manual_seed": {  # a run is asked to
        "training/training_loop.py",
        "tasks/stages.py",
        "tasks/forecast/nets/inference.py",  # in a context that restores torch's random state
        "compare/trials.py",
    },
}


def test_what_the_library_never_does():
    used = {name_of(path): set(attributes(path)) for path in files()}
    for never, allowed in NEVER.items():
        assert {name for name, names in used.items() if never in names} <= allowed, never


@pytest.mark.parametrize("package", ["pickle", "marshal", "shelve", "dill", "joblib"])
def test_nothing_is_unpickled(package):
    assert package not in {target.partition(".")[0] for _, target in IMPORTS}
