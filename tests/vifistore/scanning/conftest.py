"""The clips, the store over them and the tiny model that extraction is tested on, too."""

from tests.vifistore.extract.conftest import clips, log, store, tiny

__all__ = ["clips", "log", "store", "tiny"]
