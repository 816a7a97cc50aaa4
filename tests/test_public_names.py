"""What is public: it exists, it says what it is, and it is all there is."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import recurra

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(recurra.__path__, "recurra.")
    if not module.name.endswith("__main__")
)
PUBLIC = [
    (name, public)
    for name in ["recurra", *MODULES]
    for public in getattr(importlib.import_module(name), "__all__", ())
]
DOORS = [
    "recurra",
    "recurra.cells",
    "recurra.config",
    "recurra.errors",
    "recurra.ir",
    "recurra.nn",
    "recurra.runs",
    "recurra.training",
]


def layer_of(module):
    """`recurra.nn` for `recurra.nn.layers.rnn`."""
    return ".".join(module.split(".")[:2])


def test_the_walk_finds_the_package():
    assert len(MODULES) > 50
    assert len(PUBLIC) > 150
    assert {name for name, _ in PUBLIC} >= set(DOORS)


def says_what_it_is(value):
    if not (inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value)):
        return True
    text = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    return bool((text or "").strip())


@pytest.mark.parametrize("layer", sorted({layer_of(module) for module in ["recurra", *MODULES]}))
def test_modules_and_public_names_say_what_they_are(layer):
    for module in (name for name in ["recurra", *MODULES] if layer_of(name) == layer):
        loaded = importlib.import_module(module)
        assert (loaded.__doc__ or "").strip(), f"{module} has no docstring"
        names = getattr(loaded, "__all__", [])
        assert len(set(names)) == len(names), f"{module}.__all__ has a name twice"
        for name in names:
            assert says_what_it_is(getattr(loaded, name)), f"{module}.{name} has no docstring"


@pytest.mark.parametrize("module", DOORS)
def test_public_methods_have_docstrings(module):
    loaded = importlib.import_module(module)
    for name in loaded.__all__:
        value = getattr(loaded, name)
        if not inspect.isclass(value) or not value.__module__.startswith("recurra"):
            continue
        for method, function in vars(value).items():
            if not method.startswith("_") and inspect.isfunction(function) and method != "step":
                assert (inspect.getdoc(getattr(value, method)) or "").strip(), f"{name}.{method}"


def test_root_is_what_it_says():
    assert dir(recurra) == sorted(recurra.__all__)
    for name in recurra.__all__:
        assert getattr(recurra, name) is not None
    with pytest.raises(AttributeError, match="it has Classifier, Forecaster, LanguageModel, Reg"):
        recurra.nothing  # noqa: B018


@pytest.mark.parametrize("module", ["recurra.cells", "recurra.nn", "recurra.nn.init"])
def test_a_listing_shows_public_names_alone(module):
    loaded = importlib.import_module(module)
    assert dir(loaded) == sorted(loaded.__all__)
    assert all(hasattr(loaded, name) for name in dir(loaded))


def lazy_names(tree):
    """The names that a package gives to `attach`, each with its module."""
    (call,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "attach"
    )
    return ast.literal_eval(call.args[1])


def names_for_type_checkers(tree):
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return {alias.name for statement in block.body for alias in statement.names}


LAZY = [
    name
    for name in ["recurra", *MODULES]
    if "attach(" in inspect.getsource(importlib.import_module(name)) and name != "recurra.lazy"
]


def test_lazy_packages_are_found():
    assert {"recurra", "recurra.compare", "recurra.tasks.language", "recurra.training"} <= {*LAZY}


@pytest.mark.parametrize("name", LAZY)
def test_type_checkers_and_users_see_the_same_lazy_names(name):
    package = importlib.import_module(name)
    tree = ast.parse(inspect.getsource(package))
    lazy = lazy_names(tree)
    assert lazy.keys() == names_for_type_checkers(tree) == {*package.__all__} - {"__version__"}
    assert dir(package) == sorted(package.__all__)
    for public, module in lazy.items():
        loaded = importlib.import_module(module)
        expected = loaded if module == f"{name}.{public}" else getattr(loaded, public)
        assert getattr(package, public) is expected
    with pytest.raises(AttributeError, match=f"'{name}' has no attribute 'nothing'; it has "):
        package.nothing  # noqa: B018


def loaded_by(code):
    """The packages that are in memory after that code, in a fresh Python."""
    code += "; import sys; print(*{m.partition('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


LIGHT = {
    "import recurra": {"torch", "numpy", "click", "rich", "safetensors"},
    "import recurra; dir(recurra); recurra.__version__": {"torch", "click", "rich"},
    "import recurra.cells, recurra.ir, recurra.errors": {"torch", "numpy", "click", "rich"},
    "import recurra.config, recurra.runs": {"torch", "numpy", "click", "rich", "safetensors"},
    "import recurra.nn": {"click", "rich", "safetensors", "llvmlite"},
}


@pytest.mark.parametrize("code", LIGHT)
def test_import_is_cheap(code):
    found = loaded_by(code)
    assert "recurra" in found
    assert not found & LIGHT[code]


def test_torch_is_found_where_it_is_loaded():
    assert "torch" in loaded_by("import recurra.nn")


# Names that stand for one thing in several places, each with its reason.
SHARED_FILES = {
    "config.py": "a task's settings, one file a task",
    "model.py": "a task's network and its outputs, one file a task",
    "task.py": "the steps of a task, one file a task, and their protocol",
}
SHARED_CLASSES = {
    "RNN": "the cell, and torch's layer of it",
    "LSTM": "the cell, and torch's layer of it",
    "GRU": "the cell, and torch's layer of it",
}


def places_of_names(root):
    """The files of each file name, and of each name of a top-level class, under a folder."""
    files, classes = defaultdict(list), defaultdict(list)
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root).as_posix()
        if path.name != "__init__.py":
            files[path.name].append(place)
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                classes[node.name].append(place)
    return files, classes


def repeated(places):
    return {name: where for name, where in places.items() if len(where) > 1}


def test_a_name_of_a_file_or_class_stands_for_one_thing():
    files, classes = map(repeated, places_of_names(Path(recurra.__file__).parent))
    assert files.keys() == SHARED_FILES.keys(), files
    assert classes.keys() == SHARED_CLASSES.keys(), classes


def test_a_new_repetition_is_seen(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
        (tmp_path / folder / "plan.py").write_text("class Plan: ...\n")
    places = {"a/plan.py", "b/plan.py"}
    files, classes = map(repeated, places_of_names(tmp_path))
    assert ({*files["plan.py"]}, {*classes["Plan"]}) == (places, places)
    assert (len(files), len(classes)) == (1, 1)
