"""Jobs in processes of their own: results, progress, errors, interruptions; and peak memory."""

import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from recurra import processes
from recurra.errors import DataError, RecurraError, TrainingError
from recurra.interrupts import Interrupted
from recurra.processes import Job, machine_memory, peak_memory, reset_peak_memory, run_job, run_jobs

JOBS = '''
import sys, time
from pathlib import Path
from recurra.errors import DataError, MissingExtra
from recurra.interrupts import Interrupts
from recurra.processes import STOPPED, report_progress

def greet(name):
    print("a user's cell may print")
    report_progress(step=1)
    report_progress(step=2)
    return {"text": f"hello {name}"}

def meet(folder):
    """Wait for another job that does the same."""
    Path(folder, str(time.time_ns())).touch()
    while len(list(Path(folder).iterdir())) < 2:
        time.sleep(0.02)

def wrong():
    raise DataError("no digits")

def lacking():
    raise MissingExtra("matplotlib", "plot", "Drawing")

def bug():
    raise ZeroDivisionError("oh dear")

def sleep(folder):
    try:
        with Interrupts() as interrupts, interrupts.at_once():
            Path(folder, "begun").touch()
            time.sleep(60)
    except KeyboardInterrupt:
        Path(folder, "saved").touch()
        sys.exit(STOPPED)
'''


@pytest.fixture
def job(tmp_path):
    """`job("greet", name="a")`: a job of the functions above."""
    (tmp_path / "own_jobs.py").write_text(JOBS)

    def make(function, **arguments):
        where = {"PYTHONPATH": str(tmp_path)}
        return Job(
            function, f"own_jobs:{function}", arguments, where, TrainingError, "try fewer cells"
        )

    return make


def test_a_job_has_a_result_and_reports_its_progress(job):
    told, ended = [], []
    greeting = job("greet", name="you")
    run_jobs(
        [greeting],
        1,
        progress=lambda *line: told.append(line),
        ended=lambda *result: ended.append(result),
    )
    assert told == [("greet", {"step": 1}), ("greet", {"step": 2})]
    assert ended == [(greeting, {"text": "hello you"})]
    assert run_job(greeting) == {"text": "hello you"}


def test_settings_are_variables_of_the_process_alone():
    setting = Job("job", "os:getenv", {"key": "RECURRA_CACHE"}, {"RECURRA_CACHE": "here"})
    assert run_job(setting) == "here"
    assert os.environ["RECURRA_CACHE"] != "here"


def test_processes_run_side_by_side(job, tmp_path):
    folder = tmp_path / "meeting"
    folder.mkdir()
    ended = []
    meetings = [job("meet", folder=str(folder)) for _ in range(2)]
    run_jobs(meetings, 2, ended=lambda job, result: ended.append(result))
    assert ended == [None, None]


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        ("wrong", DataError, "^wrong: no digits$"),
        ("lacking", RecurraError, "^lacking: Drawing needs matplotlib"),
        ("bug", TrainingError, r"of bug ended with code 1 \(ZeroDivisionError: oh dear\); try f"),
    ],
)
def test_a_job_that_fails_raises_with_its_name(job, function, error, message):
    with pytest.raises(error, match=message):
        run_job(job(function))


def test_a_process_that_is_killed_raises_with_the_remedy(job, tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nkill -9 $$\n")
    python.chmod(0o755)
    monkeypatch.setattr(processes.sys, "executable", str(python))
    with pytest.raises(TrainingError, match=r"code -9 \(it was killed\); try fewer cells\.$"):
        run_job(job("greet"))


def test_errors_are_given_to_who_wants_them_and_the_others_go_on(job):
    found, errors = [], []
    run_jobs(
        [job("wrong"), job("greet", name="all")],
        1,
        ended=lambda job, result: found.append(result["text"]),
        failed=lambda job, error: errors.append(error),
    )
    assert found == ["hello all"]
    assert [type(error) for error in errors] == [DataError]

    def gives_up(job, error):
        raise TrainingError("enough")

    with pytest.raises(TrainingError, match="enough"):
        run_jobs([job("wrong")], 1, ended=lambda *_: None, failed=gives_up)


def test_an_error_interrupts_the_others_which_save(job, tmp_path):
    with pytest.raises(DataError):
        run_jobs([job("sleep", folder=str(tmp_path)), job("wrong")], 2, ended=lambda *_: None)
    begun, saved = tmp_path / "begun", tmp_path / "saved"
    assert saved.exists() or not begun.exists()


@pytest.mark.parametrize(
    ("session", "number"), [("ctrl_c", signal.SIGINT), ("background", signal.SIGTERM)]
)
def test_a_signal_lets_processes_save_and_is_raised(job, tmp_path, request, session, number):
    request.getfixturevalue(session)

    def interrupt():
        while not (tmp_path / "begun").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    threading.Thread(target=interrupt).start()
    with pytest.raises(Interrupted) as raised:
        run_job(job("sleep", folder=str(tmp_path)))
    assert raised.value.signal == number
    assert (tmp_path / "saved").exists()


@pytest.mark.skipif(not processes._CLEAR.exists(), reason="only Linux resets the peak")
def test_peak_memory_counts_from_its_reset():
    def touch(megabytes):
        block = bytearray(megabytes * 2**20)
        block[:: 2**12] = b"x" * len(block[:: 2**12])

    touch(256)
    highest = peak_memory()
    before = reset_peak_memory()
    assert before < highest - 100 * 2**20
    touch(64)
    assert 60 * 2**20 < peak_memory() - before < 80 * 2**20


def test_the_machines_memory_is_that_of_the_system_or_of_its_container(monkeypatch, tmp_path):
    (kilobytes,) = re.findall(r"MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text())
    monkeypatch.setattr("recurra.processes._LIMITS", (tmp_path / "limit",))
    assert machine_memory() == int(kilobytes) * 1024
    for text, expected in (("max\n", int(kilobytes) * 1024), ("1000000\n", 10**6)):
        (tmp_path / "limit").write_text(text)
        assert machine_memory() == expected
