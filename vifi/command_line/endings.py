"""How a command ends that fails, is stopped, or that the machine has no more memory for."""

import re
import resource
import signal
import sys
import threading
from pathlib import Path

from vifi.command_line.console import printable
from vifistore.errors import short

STOPPED = "stopped; run the same command again to go on from here"

# What Python, torch, NumPy and the loader of libraries say where memory or threads ran out, as
# under `ulimit -v` or in a small container.
_SHORTAGE = re.compile(
    r"can't start new thread|(cannot|can't|unable to) allocate|not enough memory|bad_alloc"
    r"|failed to map segment|out of memory|resource temporarily unavailable",
    re.IGNORECASE,
)

# What the largest library, torch's, takes at once: one that was not loaded for lack of it shows
# later, as something that does not exist.
_LARGEST_BYTES = 2**29


# Characters of a message.
_LONGEST = 390


class Terminated(KeyboardInterrupt):
    """SIGTERM: ends what Ctrl-C ends, in the same way."""


def print_error(error: object) -> None:
    """Print an error as one line on standard error.

    Names may be of any length: of a long line both ends stay, what happened and the remedy.
    """
    told = printable(" ".join(str(error).split()))
    print(f"vifi: {short(told, _LONGEST)}", file=sys.stderr)


def exit_code(stop: KeyboardInterrupt) -> int:
    """What a shell gives for a command that was stopped so."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


def end_on_sigterm() -> None:
    """Raise Terminated at a SIGTERM, which batch systems and containers send, unless it is ignored.

    Else it would end the process at once, and say nothing.
    """
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, _: object) -> None:
    # Once is enough: a second one would cut off what the first one ends in order.
    signal.signal(number, signal.SIG_IGN)
    raise Terminated


def quiet_threads() -> None:
    """Say nothing of a thread that ends for lack of memory: the one that waits for it does."""
    usual = threading.excepthook

    def tell(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_value is None or not shortage(ended.exc_value):
            usual(ended)

    threading.excepthook = tell


def shortage(error: BaseException) -> str:
    """What to say of an error by which memory or threads ran out; empty for any other."""
    link: BaseException | None = error
    # Libraries have words of their own for it ("could not create a primitive").
    told = error if is_near_limit() else None
    while link is not None and told is None:
        if isinstance(link, MemoryError) or _SHORTAGE.search(str(link)):
            told = link
        link = link.__cause__ or link.__context__
    if told is None:
        is_deep = isinstance(error, RecursionError)
        return "a document nests too deeply to be read" if is_deep else ""
    reason = (str(told).strip() or "no memory is left").splitlines()[0][:120]
    return (
        f"memory or threads ran out ({reason}); allow more of them (ulimit -v, ulimit -u, the "
        "container's limits), or give fewer --workers or a smaller --batch; what was finished is "
        "kept"
    )


def is_near_limit() -> bool:
    """Whether a library may not have found room in the address space of this process."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return False
    peak = re.search(r"VmPeak:\s*(\d+) kB", status)
    if limit == resource.RLIM_INFINITY or peak is None:
        return False
    return int(peak[1]) * 1024 > limit - _LARGEST_BYTES
