"""What Linux tells of another process: its time of the processor, and whether it wants more.

Elsewhere nothing is told, and time limits go by the clock alone.
"""

import os
from pathlib import Path

# Fields of /proc/PID/stat after the name, which may itself hold blanks: proc(5).
_STATE, _USER_TICKS, _SYSTEM_TICKS = 0, 11, 12


def processor_seconds(pid: int) -> float:
    """Seconds of the processor that a process has had; 0 where that is not known."""
    fields = _stat(pid)
    if not fields:
        return 0.0
    ticks = int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])
    return ticks / os.sysconf("SC_CLK_TCK")


def is_starved(pid: int, limit_seconds: float) -> bool:
    """Whether a process could run at this moment and has had less than `limit_seconds` in all.

    One that sleeps, or waits for a disk, is not starved, however little it had.
    """
    fields = _stat(pid)
    return bool(fields) and fields[_STATE] == "R" and processor_seconds(pid) < limit_seconds


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
