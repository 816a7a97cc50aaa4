"""Served models: small ones of some tasks, behind a client that needs no socket."""

from contextlib import ExitStack

import pytest

from helpers.small_models import dialogues
from recurra.deploy.serve.serve_options import ServeOptions

pytest.importorskip("starlette", reason="starlette isn't installed")

SERVED = ("language", "films", "tags", "sensor", "mirror", "pen", "speech")
RUNS = {**{name: name for name in SERVED}, "sales": "stepped sales", "whole": "whole films"}


@pytest.fixture
def serving():
    """Starts a client of a server with some options; all end with the test."""
    from starlette.testclient import TestClient

    from recurra.deploy.serve.serve_app import ServeApp

    with ExitStack() as stack:

        def start(*names, **options):
            runs = {name: dialogues(RUNS[name]) for name in names or ("language", "films")}
            app = ServeApp(runs, ServeOptions(**{"max_sessions": 8, **options}))
            client = TestClient(app.asgi, base_url="http://localhost:8000")
            client.app_of_server = app
            return stack.enter_context(client)

        yield start
