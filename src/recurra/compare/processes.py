"""Trainings in processes of their own, several at a time, that end in good order together."""

import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from recurra import errors
from recurra.compare.child import MISTAKE, STOPPED
from recurra.compare.plan import Trial
from recurra.errors import RecurraError, TrainingError
from recurra.training.interrupts import Interrupts

__all__ = ["Order", "carry_out_all"]

Tell = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True)
class Order:
    """A training, the directory of its run and the file of its outcome."""

    trial: Trial
    folder: Path
    result: Path

    def text(self) -> str:
        """The order as its process reads it."""
        places = {"folder": str(self.folder), "result": str(self.result)}
        return json.dumps({"trial": asdict(self.trial), **places})


def carry_out_all(
    orders: Sequence[Order], jobs: int, *, tell: Tell, ended: Callable[[Order], None]
) -> None:
    """Carry out the orders in turn, `jobs` at a time.

    `tell(name, line)` is called from threads with what each process tells of itself, `ended` with
    each order whose outcome is there. Ctrl-C or SIGTERM makes all processes save and end, and is
    raised then; the second ends them at once. Raises the first error of any process, after the
    others have saved and ended.
    """
    crew = _Crew(tell)
    with Interrupts() as interrupts, interrupts.at_once(), ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(crew.carry_out, order): order for order in orders}
        try:
            for future in as_completed(futures):
                if future.result():
                    ended(futures[future])
        except BaseException:
            # SIGTERM: a shell's background job, and all that it starts, ignores SIGINT.
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
    """The processes under way."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def carry_out(self, order: Order) -> bool:
        """Wait for the process of an order; whether its outcome is there."""
        with tempfile.TemporaryFile("w+") as complaints:
            process = self._start(order, complaints)
            if process is None:
                return False
            try:
                told = self._listen(order.trial.name, process)
                code = process.wait()
            finally:
                with self._lock:
                    self._processes.discard(process)
            if code in (0, STOPPED) or self._stopped:
                return code == 0
            complaints.seek(0)
            raise _error(order, code, told, complaints.read())

    def stop(self, number: signal.Signals) -> None:
        """Start no more, and send those under way a signal."""
        with self._lock:
            self._stopped = True
            for process in self._processes:
                process.send_signal(number)

    def _start(self, order: Order, complaints: IO[str]) -> "subprocess.Popen[str] | None":
        command = [sys.executable, "-m", "recurra.compare.child", order.text()]
        with self._lock:
            if self._stopped:
                return None
            # A session of its own: Ctrl-C reaches it through `stop` alone, and so but once.
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                start_new_session=True,
            )
            self._processes.add(process)
            return process

    def _listen(self, name: str, process: "subprocess.Popen[str]") -> dict[str, Any]:
        """Pass on what the process tells; the last line."""
        line: dict[str, Any] = {}
        assert process.stdout is not None
        for text in process.stdout:
            line = json.loads(text)
            if "step" in line:
                self._tell(name, line)
        return line


def _error(order: Order, code: int, told: dict[str, Any], complaints: str) -> RecurraError:
    if code == MISTAKE and "error" in told:
        kind = getattr(errors, told["error"], RecurraError)
        made: RecurraError = kind(f"{order.trial.name}: {told['text']}")
        return made
    last = (complaints.strip().splitlines() or ["it was killed"])[-1]
    return TrainingError(
        f"The process of {order.trial.name} ended with code {code} ({last}); what it had saved is "
        f"in {order.folder}: go on with --resume, with fewer --jobs where memory ran out."
    )
