"""What is kept of the packets of a file once they are read."""

from array import array
from typing import Any

import numpy as np

NO_TIME = -(2**63)
"""FFmpeg's, of a packet that has none."""


class PacketHeads:
    """What the packets of a stream tell, in the order of the file: of two hours some 100,000."""

    def __init__(self) -> None:
        self._times, self._flags = array("q"), bytearray()
        self.damages: list[int] = []
        """Places before which a reader complained, or of packets that it calls corrupt."""

    def __len__(self) -> int:
        return len(self._flags)

    def add(self, packet: Any) -> None:
        """Take note of a PyAV packet."""
        self._times.append(NO_TIME if packet.pts is None else packet.pts)
        self._flags.append(packet.is_keyframe | packet.is_discard << 1)

    @property
    def times(self) -> np.ndarray:
        """int64 [packet]: when what it gives is shown, in units of the stream; NO_TIME where it
        does not tell."""
        return np.array(self._times, np.int64)

    @property
    def are_keys(self) -> np.ndarray:
        """bool [packet]"""
        return np.frombuffer(bytes(self._flags), np.uint8) & 1 > 0

    @property
    def are_shown(self) -> np.ndarray:
        """bool [packet]: an edit list cuts the others off, which are decoded all the same."""
        return np.frombuffer(bytes(self._flags), np.uint8) & 2 == 0
