"""Ctrl-C ends a study, even where Python drops it: one that comes while an object is cleared away
is printed and forgotten, and the study would go on for days."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def stops_kept() -> Iterator[Callable[[], None]]:
    """Gives what raises KeyboardInterrupt again where a Ctrl-C has come since. Outside of the main
    thread, and where Ctrl-C is handled otherwise, nothing is changed."""
    came = threading.Event()

    def keep(number: int, frame: object) -> None:
        came.set()
        raise KeyboardInterrupt

    def check() -> None:
        if came.is_set():
            raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield check
        return
    signal.signal(signal.SIGINT, keep)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
