"""Files that a killed run left half written."""

from vifistore.store.backend import Backend
from vifistore.store.places import StoredFile

# A file on its way to its name: both this package and zarr write it under this suffix first.
PARTIAL = ".partial"


def partial_files(backend: Backend, path: str) -> list[StoredFile]:
    """The half-written files at or below `path`, by key; some may be on their way right now."""
    found = [file for file in backend.place.files(path) if file.key.endswith(PARTIAL)]
    return sorted(found, key=lambda file: file.key)
