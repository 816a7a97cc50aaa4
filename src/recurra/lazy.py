"""Names of a package that are imported when they are first used."""

import importlib
import sys
from collections.abc import Callable, Mapping

__all__ = ["Getter", "Lister", "attach"]

Getter = Callable[[str], object]
Lister = Callable[[], list[str]]


def attach(package: str, names: Mapping[str, str]) -> tuple[Getter, Lister]:
    """`__getattr__` and `__dir__` of a package whose names lie in modules of their own.

    Args:
        package: its name.
        names: the module of each name; the name of a module itself stands for that module.
    """

    def get(name: str) -> object:
        if name not in names:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}; it has {', '.join(listed())}"
            )
        found: object = importlib.import_module(names[name])
        if names[name] != f"{package}.{name}":
            found = getattr(found, name)
        setattr(sys.modules[package], name, found)
        return found

    def listed() -> list[str]:
        return sorted(getattr(sys.modules[package], "__all__", names))

    return get, listed
