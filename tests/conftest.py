"""What every test shares: one thread for torch, a fixed seed, a cache of compiled code for this
session and all its processes, and real data where it is at hand.
"""

import os
import shutil
import signal
import tempfile

import pytest
import torch

from recurra import settings

torch.set_num_threads(1)


def _is_worker(config):
    return hasattr(config, "workerinput")


def pytest_configure(config):
    if not _is_worker(config):  # workers inherit the environment
        os.environ["RECURRA_CACHE"] = tempfile.mkdtemp(prefix="recurra-tests-")


def pytest_unconfigure(config):
    if not _is_worker(config):
        shutil.rmtree(os.environ["RECURRA_CACHE"], ignore_errors=True)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def _sigint(action):
    """Set what SIGINT does in this process, and so in those that it starts."""
    before = signal.signal(signal.SIGINT, action)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def ctrl_c():
    """SIGINT as in a terminal, also where the tests run as a shell's background job."""
    yield from _sigint(signal.default_int_handler)


@pytest.fixture
def background():
    """SIGINT as in a shell's background job: ignored."""
    yield from _sigint(signal.SIG_IGN)


@pytest.fixture
def undrawn(monkeypatch):
    """Reports whose pictures take no time, most of a small run's; a few tests draw them."""
    monkeypatch.setattr("recurra.reports.html_page.svg", lambda *given: "<svg></svg>")
    for name in ("plot_training", "plot_optimiser"):
        monkeypatch.setattr(f"recurra.tasks.description.{name}", lambda *given: None)
    monkeypatch.setattr("recurra.reports.inspection_report.plot_heat", lambda *given: None)


@pytest.fixture
def real_data():
    """The folder of real data; the test is skipped, saying so, where RECURRA_DATA is unset."""
    folder = settings.data_folder()
    if folder is None:
        pytest.skip("RECURRA_DATA is unset: no real data here")
    return folder
