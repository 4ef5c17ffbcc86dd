"""Videos in, a zarr store of frame embeddings out."""
