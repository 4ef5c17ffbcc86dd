"""Frames that several stretches of a file have, encoded once: those of the ones before are kept as
long as a later stretch of the same job may have them."""

from collections import OrderedDict
from dataclasses import replace

import numpy as np
import torch

from vifistore.frames.decoders.decoding import DecodedVideo

Outputs = dict[str, torch.Tensor]

# Jobs that are under way at once, and a few that have ended.
_MOST_JOBS = 64


class EncodedOnce:
    """What is known, or on its way, of the frames of each job whose stretches overlap."""

    def __init__(self, crops: int) -> None:
        self._crops = crops
        self._begun: OrderedDict[str, set[int]] = OrderedDict()
        self._known: OrderedDict[str, dict[int, Outputs]] = OrderedDict()

    def to_encode(self, job: str, video: DecodedVideo) -> DecodedVideo:
        """The video with those frames alone that no stretch before it has."""
        begun = self._begun.setdefault(job, set())
        is_new = np.array([number not in begun for number in video.numbers], bool)
        begun.update(video.numbers)
        if len(self._begun) > _MOST_JOBS:
            self._begun.popitem(last=False)
        crops = self._crops if video.are_squares else 1
        frames = video.frames.reshape(crops, -1, *video.frames.shape[1:])[:, is_new]
        return replace(video, frames=frames.reshape(-1, *frames.shape[2:]))

    def complete(self, job: str, video: DecodedVideo, outputs: Outputs) -> Outputs:
        """Outputs [crop*distinct ...] of all frames, from those of the new ones; stretches come in
        the order in which `to_encode` had them."""
        known = self._known.setdefault(job, {})
        new = [number for number in video.numbers if number not in known]
        for place, number in enumerate(new):
            known[number] = {
                name: value.unflatten(0, (self._crops, -1))[:, place]
                for name, value in outputs.items()
            }
        whole = {
            name: torch.stack([known[n][name] for n in video.numbers], 1).flatten(0, 1)
            for name in outputs
        }
        # A stretch that begins later has none of those before its first.
        for number in [number for number in known if number < video.numbers[0]]:
            del known[number]
        if len(self._known) > _MOST_JOBS:
            self._known.popitem(last=False)
        return whole
