"""Checkpoints of a folder, each extracted as it appears."""
