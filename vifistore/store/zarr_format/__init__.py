"""Groups, arrays and chunks of zarr v3 as the store writes them, with their checksums."""
