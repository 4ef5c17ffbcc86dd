"""Learned poolings: heads trained on cached frames, one small file each."""
