"""The page at `/` of a server, and the same page as one file for an export."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

__all__ = ["PAGE_FILES", "POLICY", "single_page"]

_MODULES = ("dom.js", "inputs.js", "language.js", "answers.js", "forecast.js", "app.js")
PAGE_FILES = ("page.css", "backend.js", *_MODULES)
"""What `index.html` loads from `page/`: a server answers these names and no others."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The Content-Security-Policy that a server sends with the page."""

_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)
_LINKS = re.compile(r'<link rel="stylesheet".*?</script>', re.DOTALL)


def _text(name: str) -> str:
    return (files(__name__) / name).read_text(encoding="utf-8")


def single_page(backend_script: str) -> str:
    """The page as one HTML file that loads nothing and may connect to nothing.

    `backend_script` defines `makeBackend()`, whose result has the interface that heads
    `backend.js`; it stands in for that module, so it holds no `import` and no `export`.

    >>> single_page("function makeBackend() {}").startswith("<!doctype html>")
    True
    """
    modules = (_EXPORT.sub("", _IMPORT.sub("", _text(name))) for name in _MODULES)
    script = "\n" + "\n".join((backend_script, *modules)).replace("</script", r"<\/script")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}' 'wasm-unsafe-eval'; "
        "style-src 'unsafe-inline'; img-src data:"
    )
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<style>\n{_text('page.css')}</style>\n"
        f'<script type="module">{script}</script>'
    )
    return _LINKS.sub(lambda _: head, _text("index.html"))
