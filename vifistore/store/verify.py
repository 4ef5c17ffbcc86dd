"""Verify a store: every checksum of every array, digests, shapes, statuses, names, orphans.

Memory stays bounded: feature sets are read block by block, tables and texts one at a time.
"""

from collections.abc import Iterator

from vifistore.errors import shell
from vifistore.store.backend import Backend
from vifistore.store.problems import Problem
from vifistore.store.store import Store
from vifistore.store.verify_features import FeatureVerifier
from vifistore.store.verify_files import verify_files
from vifistore.store.verify_tables import TableVerifier


def verify_store(store: Store) -> Iterator[Problem]:
    """Yield every problem of a store; none if all is well."""
    backend = store.backend
    yield from verify_files(backend)
    yield from TableVerifier(backend).problems()
    yield from _verify_features(backend, set(store.datasets()))


def _verify_features(backend: Backend, datasets: set[str]) -> Iterator[Problem]:
    for dataset in backend.children("features"):
        if dataset not in datasets:
            yield Problem(
                where=f"features/{dataset}",
                what=f"orphan: there is no dataset {dataset}",
                remedy=f"scan it with {shell('--dataset', dataset)}",
            )
        for feature_id in backend.children(f"features/{dataset}"):
            yield from FeatureVerifier(backend, dataset, feature_id).problems()
