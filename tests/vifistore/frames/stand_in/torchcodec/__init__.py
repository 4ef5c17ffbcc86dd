"""Takes torchcodec's place in tests: words at the end of a video say what its decoder does."""
