"""The zarr schema: write, seal, read. Imports no torch.

`open_store` is the one name re-exported here, because scripts and notebooks start with it.
"""

from vifistore.store.store import open_store

__all__ = ["open_store"]
