"""The page's application over the searchable store."""

import pytest
from fastapi.testclient import TestClient

from vifi.serving.app import make_app
from vifi.serving.library import Library, Scope
from vifistore.store import open_store


@pytest.fixture(scope="session")
def library(searchable) -> Library:
    """The searchable store, ready to answer."""
    library = Library(open_store(searchable))
    library.start()
    # Its thread loads a model with warnings silenced, which are the process's: once, before tests.
    library.words_vector(Scope(features=library.features, dataset=library.dataset), "ready")
    return library


@pytest.fixture
def client(library) -> TestClient:
    """A client of the page on this machine."""
    return TestClient(make_app(library), base_url="http://127.0.0.1:8765")
