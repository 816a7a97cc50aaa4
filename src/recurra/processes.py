"""Jobs in processes of their own, several at a time; the memory of a process and of the machine.

A job is a call of one of our functions with arguments and a result that JSON can hold. Its process,
`python -m recurra.processes ORDER`, writes JSON lines: {"progress": ...} for each call of
`report_progress`, then {"result": ...}, or {"error": ..., "text": ...} and exit code 2.
"""

import ctypes
import importlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any, NoReturn

from recurra import errors
from recurra.errors import MissingExtra, RecurraError
from recurra.interrupts import Interrupts

__all__ = [
    "STOPPED",
    "Job",
    "machine_memory",
    "peak_memory",
    "report_progress",
    "reset_peak_memory",
    "run_job",
    "run_jobs",
]

MISTAKE, STOPPED = 2, 130
"""Exit codes: an error that is reported as a line, and an interruption with everything saved."""

Listener = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True)
class Job:
    """A call of `function`, "package.module:name", with `arguments` in a process of its own.

    `name` identifies it in messages; `settings` are environment variables of its process. A process
    that fails without a message of its own raises `failure` with the `remedy`.
    """

    name: str
    function: str
    arguments: Mapping[str, Any]
    settings: Mapping[str, str] = field(default_factory=dict)
    failure: type[RecurraError] = RecurraError
    remedy: str = "run it again"

    def command(self) -> list[str]:
        """The command line of its process."""
        order = json.dumps({"function": self.function, "arguments": dict(self.arguments)})
        # `env` sets variables, since only the settings read and write our own environment.
        variables = [f"{name}={value}" for name, value in self.settings.items()]
        python = [sys.executable, "-m", "recurra.processes", order]
        return ["env", *variables, *python] if variables else python


def run_job(job: Job) -> Any:
    """Run one job and return its result. Raises as `run_jobs` does."""
    results: list[Any] = []
    run_jobs([job], 1, ended=lambda _, result: results.append(result))
    if not results:
        raise KeyboardInterrupt
    return results[0]


def run_jobs(
    jobs: Sequence[Job],
    workers: int,
    *,
    ended: Callable[[Job, Any], None],
    progress: Listener = lambda name, line: None,
    failed: Callable[[Job, RecurraError], None] | None = None,
) -> None:
    """Run jobs in turn, `workers` at a time.

    `progress(name, line)` is called from threads with each line that a job reports; `ended` with
    each job that has ended, and its result. Ctrl-C or SIGTERM interrupts all processes, so that
    they can save, and is raised once they have ended; a second one kills them. The first error of
    any process is raised after the others were interrupted and have ended; with `failed` each is
    given to that instead, which may raise.
    """
    crew = _Crew(progress)
    with Interrupts() as interrupts, interrupts.at_once(), ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(crew.run, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                job = futures[future]
                try:
                    outcome = future.result()
                except RecurraError as error:
                    if failed is None:
                        raise
                    failed(job, error)
                    continue
                if outcome is not None:
                    ended(job, outcome["result"])
        except BaseException:
            # Not SIGINT, which a shell's background job and all its processes ignore.
            crew.stop(signal.SIGTERM)
            for future in futures:
                future.cancel()
            try:
                pool.shutdown(wait=True)
            except KeyboardInterrupt:
                crew.stop(signal.SIGKILL)
                raise
            raise


class _Crew:
    """The processes that are running."""

    def __init__(self, progress: Listener) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def run(self, job: Job) -> dict[str, Any] | None:
        """Wait for the process of a job: its last line, or None where it was interrupted."""
        with tempfile.TemporaryFile("w+") as complaints:
            process = self._start(job, complaints)
            if process is None:
                return None
            try:
                last = self._listen(job.name, process)
                code = process.wait()
            finally:
                with self._lock:
                    self._processes.discard(process)
            if code == 0 and "result" in last:
                return last
            if code == STOPPED or self._stopped:
                return None
            complaints.seek(0)
            raise _error(job, code, last, complaints.read())

    def stop(self, number: signal.Signals) -> None:
        """Start no more processes, and send a signal to those that are running."""
        with self._lock:
            self._stopped = True
            for process in self._processes:
                process.send_signal(number)

    def _start(self, job: Job, complaints: IO[str]) -> "subprocess.Popen[str] | None":
        with self._lock:
            if self._stopped:
                return None
            # A session of its own, so that Ctrl-C reaches it through `stop` alone, and only once.
            process = subprocess.Popen(
                job.command(),
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                start_new_session=True,
            )
            self._processes.add(process)
            return process

    def _listen(self, name: str, process: "subprocess.Popen[str]") -> dict[str, Any]:
        """Pass on the progress of the job; return the last line."""
        line: dict[str, Any] = {}
        assert process.stdout is not None
        for text in process.stdout:
            line = json.loads(text)
            if "progress" in line:
                self._progress(name, line["progress"])
        return line


def _error(job: Job, code: int, line: dict[str, Any], complaints: str) -> RecurraError:
    if code == MISTAKE and "error" in line:
        kind = getattr(errors, line["error"], RecurraError)
        made: RecurraError = (RecurraError if kind is MissingExtra else kind)(
            f"{job.name}: {line['text']}"
        )
        return made
    last = (complaints.strip().splitlines() or ["it was killed"])[-1]
    return job.failure(f"The process of {job.name} ended with code {code} ({last}); {job.remedy}.")


def report_progress(**line: Any) -> None:
    """Pass a line from a job to the `progress` of its parent."""
    _write({"progress": line})


def _write(line: dict[str, Any]) -> None:
    assert sys.__stdout__ is not None
    sys.__stdout__.write(json.dumps(line) + "\n")
    sys.__stdout__.flush()


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Let a job end as on Ctrl-C, which a process started in the background ignores."""
    raise KeyboardInterrupt


def main() -> None:
    """Run the order of the first argument, and write its result or its error."""
    order = json.loads(sys.argv[1])
    signal.signal(signal.SIGTERM, _interrupt)
    sys.stdout = sys.stderr  # where a user's cell may print without disturbing the lines
    module, _, name = order["function"].partition(":")
    try:
        result = getattr(importlib.import_module(module), name)(**order["arguments"])
    except RecurraError as error:
        _write({"error": type(error).__name__, "text": str(error)})
        sys.exit(MISTAKE)
    _write({"result": result})


_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def reset_peak_memory() -> int:
    """Let `peak_memory` count from now on, where the system can; return its value now, in bytes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)  # memory that the allocator holds free would hide what comes next
    if _CLEAR.exists():
        _CLEAR.write_text("5")  # Linux resets the highest resident set to the present one
    return peak_memory()


def peak_memory() -> int:
    """The highest resident set of this process so far, in bytes."""
    if _STATUS.exists():
        # Linux's own getrusage includes the parent's memory when it started this process.
        found = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * 1024


_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def machine_memory() -> int | None:
    """The memory in bytes of the machine, or of the container if that is less; None if unknown."""
    found = [int(text) for path in _LIMITS if (text := _content(path)).isdigit()]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=None)


def _content(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


if __name__ == "__main__":
    main()
