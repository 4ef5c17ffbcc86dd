"""Arguments that many verbs take, each explained once."""

from dataclasses import dataclass

import tyro


@dataclass(frozen=True, kw_only=True)
class StoreArguments:
    """Of a verb that opens a store; comes last among bases, so that the store comes first."""

    store: tyro.conf.Positional[str]
    """Path of the store, or its URL: s3://bucket/S.zarr."""


@dataclass(frozen=True, kw_only=True)
class PrintArguments:
    """Of a verb that prints for readers, or for programs."""

    json: bool = False
    """Print one JSON document."""
