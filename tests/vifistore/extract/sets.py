"""The feature set that tests of going over it again look at."""

import numpy as np

from vifistore.extract.encoder import Encoder
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.store import open_store
from vifistore.store.schema import FEATURE_ARRAYS

SETTINGS = ExtractSettings(
    model="vifi-tiny", pretrained="none", frames=2, precision="fp32", device="cpu", workers=1
)


NAME = "vifi-tiny@random.2f"


def arrays(store, dataset: str = "d") -> dict[str, np.ndarray]:
    """Every array of the feature set."""
    features = open_store(store.path).features(dataset, NAME)
    return {name: features.read(name) for name in FEATURE_ARRAYS}


def assert_equal(found: dict, expected: dict) -> None:
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def frames_encoded(monkeypatch) -> list[int]:
    """A list that each forward pass adds its number of frames to."""
    counts: list[int] = []
    encode = Encoder._encode

    def counted(self, pixels):
        counts.append(len(pixels))
        return encode(self, pixels)

    monkeypatch.setattr(Encoder, "_encode", counted)
    return counts


def flip(path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(bytes(data))
