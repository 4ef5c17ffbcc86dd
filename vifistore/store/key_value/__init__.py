"""Bytes by their keys: on a disk, in an object store, durable and conditional."""
