"""How much memory there is, and how much of it a decode worker may take.

A video may ask for any amount: its frames may be as large as it says. Whoever takes more than its
share loses the video, and not the run, nor what else the machine does.
"""

import os
import re
import resource
from pathlib import Path

# What a decoder takes for a video of 7680 x 4320, with those frames that refer to one another.
LEAST_WORKER_BYTES = 2 << 30
_SHARE = 0.75

# Limits of a container, as control groups tell them; in version 2, and in version 1.
_LIMIT_FILES = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)


def machine_bytes() -> int:
    """Memory of this machine, or of the container that this process is in."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in _LIMIT_FILES:
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        # Without a limit it says "max", or a number beyond all memory.
        limits += [int(text)] if text.isdecimal() else []
    return min(limits)


def worker_bytes(num_workers: int) -> int:
    """Memory that each of so many decode workers may take, where nothing else is said."""
    return max(LEAST_WORKER_BYTES, int(_SHARE * machine_bytes() / num_workers))


def limit_memory(max_bytes: int) -> None:
    """Let this process take so much more memory of its own than it has, and no more; 0 for any.

    Libraries count among what it has: with torch's CUDA build some take a gigabyte.
    """
    if not max_bytes:
        return
    max_bytes += _own_bytes()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = max_bytes if hard == resource.RLIM_INFINITY else min(max_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))


def _own_bytes() -> int:
    """What RLIMIT_DATA counts of this process by now; 0 where that is not told."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    found = re.search(r"^VmData:\s*(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
