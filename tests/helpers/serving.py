"""A server of its own process, and waiting for one in this."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time


def until_free(app):
    """Wait until nobody has a place any more, and nothing is worked on."""
    deadline = time.monotonic() + 10
    while (app.under_way or app.places.taken) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (app.under_way, app.places.taken) == (0, 0)


@contextlib.contextmanager
def server_process(*words):
    """`recurra serve`, its address, and what it wrote so far; killed at the end if it lives."""
    words = list(map(str, words))
    words += [] if "--port" in words else ["--port", "0"]
    command = [sys.executable, "-m", "recurra", "serve", *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert found, line + process.stderr.read()
        process.port = int(found[1])
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def ended(process, number=signal.SIGTERM):
    """The exit code of a process after a signal, and what it wrote to stderr."""
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors
