"""A worker without a decoder, for `benchmarks.hand_over`: it has frames, and hands them over.

Started as `python -m benchmarks.handing_worker CHANNEL PARENT HEIGHT WIDTH FRAMES COUNT [ARENA]`.
"""

import os
import socket
import sys
import time

import numpy as np

from vifistore.frames.processes.arena import place_frames
from vifistore.frames.processes.wire import receive_message, send_message
from vifistore.frames.processes.worker import die_with_parent


def main() -> None:
    """Hand the same frames over so many times, as a worker does those of a video, once asked."""
    channel_number, parent, height, width, frames, count = map(int, sys.argv[1:7])
    arena = int(sys.argv[7]) if len(sys.argv) > 7 else None
    die_with_parent(parent)
    channel = socket.socket(fileno=channel_number)
    generator = np.random.default_rng(0)
    video = generator.integers(0, 256, (frames, height, width, 3), dtype=np.uint8)
    send_message(channel, {"ready": True})
    receive_message(channel)
    for _ in range(count):
        start = time.process_time()
        file = place_frames(channel, video, arena)
        taken = time.process_time() - start
        send_message(channel, {"shape": video.shape, "facts": {"seconds": taken}}, file)
        if file is not None:
            os.close(file)


if __name__ == "__main__":
    main()
