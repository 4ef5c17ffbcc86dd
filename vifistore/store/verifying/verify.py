"""Verify a store: every checksum of every array, digests, shapes, statuses, names, orphans.

Memory stays bounded: feature sets are read block by block, tables and texts one at a time.
"""

from collections.abc import Iterator

from vifistore.errors import shell
from vifistore.store.dataset import Dataset
from vifistore.store.problems import Problem
from vifistore.store.store import Store
from vifistore.store.verifying.verify_features import FeatureVerifier
from vifistore.store.verifying.verify_files import verify_files
from vifistore.store.verifying.verify_tables import TableVerifier


def verify_store(store: Store) -> Iterator[Problem]:
    """Yield every problem of a store; none if all is well."""
    backend = store.backend
    yield from verify_files(backend)
    yield from TableVerifier(backend).problems()
    yield from _verify_features(store, set(store.datasets()))


def _verify_features(store: Store, datasets: set[str]) -> Iterator[Problem]:
    for name in store.backend.children("features"):
        if name not in datasets:
            yield Problem(
                where=f"features/{name}",
                what=f"orphan: there is no dataset {name}",
                remedy=f"scan it with {shell('--dataset', name)}",
            )
        dataset = Dataset(store, name)
        for feature_id in dataset.feature_ids():
            yield from FeatureVerifier(dataset, feature_id).problems()
