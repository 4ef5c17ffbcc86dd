"""Which videos: readers of dataset formats, splits, probing."""
