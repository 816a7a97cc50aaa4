"""The packages that are published: they hold what they should and nothing else."""

import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[1]
SOURCE_SUFFIXES = {
    ".c",
    ".ld",
    ".py",
    ".md",
    ".toml",
    ".json",
    ".html",
    ".css",
    ".js",
    ".png",
    ".typed",
    "",
}
SOURCE = ROOT / "src"
FOLDERS = {"src", "tests", "examples", "docs", "configs", "benchmarks"}
ROOT_FILES = {
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "PKG-INFO",
    "README.md",
    "pyproject.toml",
}


def built(builder, source, folder):
    (path,) = builder(str(source)).build(directory=str(folder), versions=["standard"])
    return Path(path)


def files_of_wheel(source, folder):
    with zipfile.ZipFile(built(WheelBuilder, source, folder)) as wheel:
        return set(wheel.namelist())


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(built(SdistBuilder, ROOT, folder)) as archive:
        archive.extractall(folder, filter="data")
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    return source


def test_the_source_distribution_holds_all_that_the_chores_need(unpacked):
    assert {path.name for path in unpacked.iterdir()} == FOLDERS | ROOT_FILES
    files = [path for path in unpacked.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= SOURCE_SUFFIXES
    for folder in ("src", "tests"):
        modules = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py")}
        assert modules == {path.relative_to(unpacked) for path in (unpacked / folder).rglob("*.py")}


def test_the_wheel_holds_the_package_and_its_marker_of_types(tmp_path):
    files = files_of_wheel(ROOT, tmp_path)
    parts = [path for kind in ("py", "html", "css", "js") for path in SOURCE.rglob(f"*.{kind}")]
    assert len(parts) > len(list(SOURCE.rglob("*.py"))) + 5  # the page's
    package = {path.relative_to(SOURCE).as_posix() for path in parts}
    assert {name for name in files if ".dist-info/" not in name} == package | {"recurra/py.typed"}
    about = {PurePosixPath(name).name for name in files if ".dist-info/" in name}
    assert about == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "LICENSE"}


def test_a_wheel_built_from_the_source_distribution_is_the_same(unpacked, tmp_path):
    here, there = (tmp_path / name for name in ("here", "there"))
    cache = unpacked / "src/recurra/__pycache__/cell.cpython-311.pyc"
    cache.parent.mkdir()
    cache.touch()
    assert files_of_wheel(unpacked, there) == files_of_wheel(ROOT, here)
