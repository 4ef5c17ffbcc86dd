"""Pixels of one video: sampling, decoding, the worker pool, preprocessing."""
