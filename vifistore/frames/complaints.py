"""What FFmpeg complains of while it reads a container, which it tells in its log alone."""

import logging
from threading import Lock
from typing import Self

# What other threads' decoders tell meanwhile is for nobody.
logging.getLogger("libav").addHandler(logging.NullHandler())

_LOCK = Lock()
_listening = 0


class Complaints:
    """The errors that FFmpeg logs in this thread, as long as it is entered."""

    def __enter__(self) -> Self:
        from av import logging as told

        global _listening
        with _LOCK:
            _listening += 1
            told.set_level(told.ERROR)
            # Of two files with the same fault the second one has it, too.
            told.set_skip_repeated(False)
        self._capture = told.Capture()
        self._told = self._capture.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        from av import logging as told

        global _listening
        self._capture.__exit__(None, None, lambda: None)
        with _LOCK:
            _listening -= 1
            if not _listening:
                told.set_level(None)
                told.set_skip_repeated(True)

    def take(self, reader: str) -> bool:
        """Whether the reader of a format, by FFmpeg's name, has complained since this was asked
        before."""
        if not self._told:
            return False
        has_complained = any(name == reader for _, name, _ in self._told)
        self._told.clear()
        return has_complained
