"""A decoder that obeys: `count 20`, `slow 0.5`, `spin 2`, `hang`, `crash`, `bug`, `noise`,
`refuse`."""

import ctypes
import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np


class VideoDecoder:
    """The part of torchcodec's VideoDecoder that is used; frame i is filled with i."""

    def __init__(self, source, *, dimension_order, num_ffmpeg_threads, seek_mode):
        assert (dimension_order, num_ffmpeg_threads, seek_mode) == ("NHWC", 1, "exact")
        self._num_frames = 40
        command, *arguments = Path(source).read_bytes().rsplit(b"COMMAND ", 1)[1].split()
        getattr(self, f"_{command.decode()}")(*arguments)

    def __len__(self):
        return self._num_frames

    def get_frames_at(self, numbers):
        data = np.stack([np.full((4, 6, 3), number, np.uint8) for number in numbers])
        return SimpleNamespace(data=SimpleNamespace(numpy=lambda: data))

    def _count(self, number):
        self._num_frames = int(number)

    def _slow(self, seconds):
        time.sleep(float(seconds))

    def _spin(self, seconds):
        end = time.process_time() + float(seconds)
        while time.process_time() < end:
            pass

    def _hang(self):
        time.sleep(1000)

    def _crash(self):
        ctypes.string_at(0)

    def _bug(self):
        raise KeyError("nobody expects this")

    def _noise(self):
        for _ in range(200):
            os.write(2, b"x" * 9_999 + b"\n")

    def _refuse(self):
        raise RuntimeError("Could not open input file")
