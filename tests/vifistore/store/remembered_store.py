"""A whole store in memory, as in a bucket."""

import contextlib
from collections.abc import Iterator

import numpy as np

from tests.vifistore.store.remembered import Remembered
from vifistore.store.key_value.storage import StoredFile
from vifistore.store.zarr_format.backend import Backend


class Bucket(Remembered):
    """A whole store in memory: see Storage."""

    location = "memory"

    def threads(self, num_bytes: int) -> int:
        return 1

    def exists(self, key: str) -> bool:
        return self.look(key) is not None

    def get(self, key: str) -> bytes:
        found = self.fetch(key)
        if found is None:
            raise FileNotFoundError(key)
        return found[0]

    def tail(self, key: str, num_bytes: int) -> bytes:
        return self.get(key)[-num_bytes:]

    def read_into(self, key: str, *buffers: np.ndarray) -> int:
        data = np.frombuffer(self.get(key), np.uint8)
        place = 0
        for buffer in buffers:
            part = data[place : place + len(buffer)]
            buffer[: len(part)] = part
            place += len(part)
        return len(data)

    def put(self, *stages) -> None:
        for stage in stages:
            for key, buffers in stage.items():
                self.before()
                self.num_writes += 1
                data = b"".join(map(bytes, buffers))
                self.objects[key] = (data, self.num_writes, self.seconds)

    def folders(self, key: str) -> list[str]:
        self.before()
        below = [k[len(key) + 1 :] for k in self.objects if k.startswith(f"{key}/")]
        return sorted({rest.split("/")[0] for rest in below if "/" in rest})

    def files(self, key: str) -> Iterator[StoredFile]:
        self.before()
        found = {k: v for k, v in self.objects.items() if k == key or k.startswith(f"{key}/")}
        for name, (data, number, changed) in found.items():
            size = len(data)
            yield StoredFile(key=name, size_bytes=size, changed_at=changed, version=f"{number}")

    def writing(self):
        return contextlib.nullcontext()


def remembered_store(place: Bucket) -> Backend:
    """An empty store there."""
    backend = Backend.__new__(Backend)
    backend.place, backend.writable = place, True
    backend.make_group("", {"vifistore": {"schema": 2}})
    return backend
