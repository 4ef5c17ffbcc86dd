"""Indexes of videos, frames and words, beside the store."""
