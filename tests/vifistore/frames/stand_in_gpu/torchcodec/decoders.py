"""PyAV in the place of a GPU's engines, whose levels are 100 higher. Words at the end of a video
may say what goes otherwise: `fallback`, `turn`, `miscount`, `shrink`, `slow 0.5`, `hang`, `crash`,
`bug`, `refuse`."""

import ctypes
import time
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import torch


class VideoDecoder:
    """The part of torchcodec's VideoDecoder that is used."""

    def __init__(self, source, *, dimension_order, num_ffmpeg_threads, seek_mode, device):
        assert (dimension_order, num_ffmpeg_threads, seek_mode) == ("NHWC", 1, "exact")
        assert device == "cpu"
        with av.open(source) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        self._frames = np.stack(frames) + np.uint8(100)
        height, width = self._frames.shape[1:3]
        self.metadata = SimpleNamespace(height=height, width=width, rotation=None)
        self.cpu_fallback = False
        _, is_told, words = Path(source).read_bytes().partition(b"COMMAND ")
        if is_told:
            command, *arguments = words.decode().split()
            getattr(self, f"_{command}")(*arguments)

    def __len__(self):
        return len(self._frames)

    def get_frames_at(self, numbers):
        return SimpleNamespace(data=torch.from_numpy(self._frames[numbers]))

    def _fallback(self):
        self.cpu_fallback = True

    def _turn(self):
        self.metadata.rotation = 90

    def _miscount(self):
        self._frames = self._frames[:-1]

    def _shrink(self):
        self._frames = self._frames[:, ::2]

    def _slow(self, seconds):
        time.sleep(float(seconds))

    def _hang(self):
        time.sleep(1000)

    def _crash(self):
        ctypes.string_at(0)

    def _bug(self):
        raise KeyError("nobody expects this")

    def _refuse(self):
        raise RuntimeError("Could not open input file")
