"""The most memory that this process has had in use."""

import ctypes
import re
import resource
import sys
from pathlib import Path

__all__ = ["peak_bytes", "rebased_bytes"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def rebased_bytes() -> int:
    """What `peak_bytes` is to be held against: what is in use now, where the system can say it.

    Elsewhere it is the highest so far.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        # Lest what the allocator holds free already hides what training takes.
        trim(0)
    if _CLEAR.exists():
        _CLEAR.write_text("5")  # the kernel's way to set the highest back to what is in use
    return peak_bytes()


def peak_bytes() -> int:
    """The highest resident set so far, in bytes."""
    if _STATUS.exists():
        # Linux's own getrusage counts in what the parent had when it started this process.
        found = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * 1024
