"""Towers: loading, digests, checkpoint formats, text."""
