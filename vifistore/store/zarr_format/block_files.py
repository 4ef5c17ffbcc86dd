"""The files of one block of a feature set, as they are to be written together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vifistore.store.zarr_format.coding import encode_chunk
from vifistore.store.zarr_format.layout import Layout


@dataclass(frozen=True, kw_only=True)
class BlockFiles:
    """Chunks of one block; each a key and buffers that follow one another, its checksum last."""

    chunks: Mapping[str, tuple[str, Sequence]]
    """By array, all but `status`."""
    status: tuple[str, Sequence]
    """What makes the others count."""

    @property
    def checksums(self) -> dict[str, str]:
        """CRC32C by array, in hex as it is stored."""
        return {name: file[1][-1].hex() for name, file in self.chunks.items()} | {
            "status": self.status[1][-1].hex()
        }


def status_encoder(layout: Layout) -> Callable[[bytes], Sequence]:
    """What makes the chunk of `status` of that of its videos, uint8 [video]."""

    def encoded(status: bytes) -> Sequence:
        chunk = np.full(layout.chunk_shape, layout.fill, layout.dtype)
        chunk[: len(status)] = np.frombuffer(status, np.uint8)[: len(chunk)]
        return encode_chunk(chunk, layout)

    return encoded


def joined(buffers: Sequence) -> bytes:
    """The content of a file of these buffers."""
    return b"".join(map(bytes, buffers))
