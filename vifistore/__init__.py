"""Videos in, a zarr store of frame embeddings out.

Scripts rely on the names that docs/API.md lists; all others may move.
"""
