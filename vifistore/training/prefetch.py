"""Items made ahead of their use, in a thread of their own."""

import contextlib
import queue
import threading
from collections.abc import Generator
from typing import TypeVar

import torch

from vifistore.training.training_data import Views

Item = TypeVar("Item")

_END = object()
# How soon the thread notices that nobody wants more.
_POLL_SECONDS = 0.1


def ahead(items: Generator[Item, None, None], depth: int) -> Generator[Item, None, None]:
    """Yield what a generator makes, at most `depth` items of it ahead; errors are raised here.

    Closing this one ends the thread and closes the generator.
    """
    ready: queue.Queue = queue.Queue(depth)
    stopped = threading.Event()

    def fill() -> None:
        try:
            for item in items:
                if not _put(ready, item, stopped):
                    return
            _put(ready, _END, stopped)
        except BaseException as error:  # noqa: BLE001 - raised again where the items are used
            _put(ready, error, stopped)
        finally:
            items.close()

    thread = threading.Thread(target=fill, name="prefetch", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


def beside(
    views: Generator[Views | None, None, None], device: torch.device
) -> Generator[Views | None, None, None]:
    """The same views; on a GPU they are copied and changed while the model computes.

    On the model's own stream a copy would wait for all that the model was told to do before.
    """
    if device.type != "cuda":
        yield from views
        return
    stream, models = torch.cuda.Stream(device), torch.cuda.default_stream(device)
    with contextlib.closing(views):
        while True:
            try:
                with torch.cuda.stream(stream):
                    made = next(views)
            except StopIteration:
                return
            stream.synchronize()
            for tensor in (made.frames, made.targets) if made else ():
                # Its memory is not to be used again before the model is done with it.
                tensor.record_stream(models)
            yield made


def _put(ready: queue.Queue, item: object, stopped: threading.Event) -> bool:
    """Put an item unless nobody wants it any more; return whether it was put."""
    while not stopped.is_set():
        try:
            ready.put(item, timeout=_POLL_SECONDS)
            return True
        except queue.Full:
            continue
    return False
