"""The program that decodes on a GPU: several videos at a time, each asked for over its own line.

The pool starts it by `python -m` with LINES PARENT SETTINGS: LINES are the
open sockets, comma-separated, SETTINGS the JSON that `GpuDecoders` makes. Frames are written into
memory of the pool's process. What cannot be decoded here is answered with the reason "elsewhere";
failures of anything but a video end the process.
"""

import json
import os
import signal
import socket
import sys
import threading
import traceback
from typing import Any

import torch

from vifistore.errors import UsageError, first_line
from vifistore.frames.decoders.decoding import load_decoder
from vifistore.frames.gpu.gpu_arena import OpenedArena
from vifistore.frames.gpu.gpu_decoding import ElsewhereError, decode_on_gpu
from vifistore.frames.gpu.gpu_trial import try_decoder
from vifistore.frames.plans import Sampling
from vifistore.frames.processes.decode_jobs import footage_and_plans
from vifistore.frames.processes.wire import ROOM, receive_message, send_message
from vifistore.frames.processes.worker import die_with_parent

_MOST_LOG_BYTES = 2**20


def main() -> None:
    """Serve the pool until it closes the lines."""
    lines = [socket.socket(fileno=int(number)) for number in sys.argv[1].split(",")]
    parent, settings = int(sys.argv[2]), json.loads(sys.argv[3])
    # Both may reach all processes of a terminal or a batch job; the pool ends this one itself.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    die_with_parent(parent)
    arena = _ready(lines, settings)
    threading.excepthook = _end
    threads = [
        threading.Thread(target=_serve, args=(line, arena, settings), daemon=True) for line in lines
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _ready(lines: list[socket.socket], settings: dict[str, Any]) -> OpenedArena:
    """Load all that decoding needs, so that its loading never counts as a video's time, and say
    so."""
    try:
        load_decoder("torchcodec")
        _use(settings["device"])
        try_decoder(settings["device"])
        arena = OpenedArena(settings["arena"])
    except (UsageError, RuntimeError) as error:
        for line in lines:
            send_message(line, {"failed": first_line(error)})
        sys.exit()
    for line in lines:
        send_message(line, {"ready": True})
    return arena


def _use(device: str) -> None:
    """Make a device the current one of this thread; raises RuntimeError if it cannot be used."""
    if device != "cpu":
        torch.cuda.set_device(device)
        torch.cuda.synchronize()


def _serve(line: socket.socket, arena: OpenedArena, settings: dict[str, Any]) -> None:
    try:
        _use(settings["device"])
        while True:
            job, _ = receive_message(line)
            _shorten_log()
            _answer(line, job, arena, settings)
    except (EOFError, ConnectionError):
        return


def _shorten_log() -> None:
    """Empty the file that standard error goes to once libraries have printed much."""
    log = sys.stderr.fileno()
    if os.fstat(log).st_size > _MOST_LOG_BYTES:
        os.ftruncate(log, 0)
        os.lseek(log, 0, os.SEEK_SET)


def _end(failure: threading.ExceptHookArgs) -> None:
    """End the process with a thread that failed: the pool counts that as a crash, and shows the
    last line."""
    print("".join(traceback.format_exception(failure.exc_value)), file=sys.stderr, flush=True)
    os._exit(1)


def _answer(
    line: socket.socket, job: dict[str, Any], arena: OpenedArena, settings: dict[str, Any]
) -> None:
    footage, (plan,) = footage_and_plans(job, Sampling(*settings["sampling"]))

    def take_part(num_bytes: int) -> torch.Tensor | None:
        send_message(line, {ROOM: num_bytes})
        start = receive_message(line)[0]["start"]
        return None if start is None else arena.part(start, num_bytes)

    try:
        how = {"device": settings["device"], "digest": job["digest"]}
        shape, facts = decode_on_gpu(footage, plan, take_part, **how)
    except ElsewhereError as error:
        # After a failure of the GPU itself nothing works in this process any more.
        _use(settings["device"])
        send_message(line, {"reason": "elsewhere", "message": str(error)})
        return
    send_message(line, {"shape": shape, "facts": facts})


if __name__ == "__main__":
    main()
