import numpy as np
import pytest

from harness.content_rows import ContentRows
from harness.fusion import unit


@pytest.fixture
def sources(make_store):
    """Seventy videos with digests of their own, two views each; the third is quarantined, the last
    three have none."""
    maker = make_store()
    status = np.ones(70, np.uint8)
    status[2] = 2
    digests = [f"digest {number}" for number in range(67)] + [""] * 3
    maker.features(maker.frames(num_views=2), status=status, digests=digests)
    return [maker.store.features("toy", "tiny")]


def test_vectors_are_those_of_the_rows_in_the_order_that_is_asked(sources):
    rows = ContentRows(sources)
    assert len(rows) == 66
    found = rows.vectors(["digest 65", "digest 0", "digest 65"])
    views = sources[0].read("view_mean").astype(np.float32).mean(axis=1)
    np.testing.assert_allclose(found, unit(views[[65, 0, 65]]), atol=1e-6)
    assert rows.vectors([]).shape == (0, views.shape[1])


def test_what_has_no_embedding_or_no_digest_is_lacking(sources):
    rows = ContentRows(sources)
    told = [rows.lacks(digest) for digest in ("digest 1", "digest 2", "", "another")]
    assert told == [False, True, True, True]
