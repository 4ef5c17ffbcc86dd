"""Import of means, one per video: Parquet and clip-retrieval."""

import numpy as np
import pytest

from tests.vifistore.store.importing.bringing import RNG, bring, export, fill_store
from vifistore.errors import UsageError


@pytest.mark.parametrize("format", ["parquet", "clip-retrieval"])
def test_means_come_back_without_frames(tmp_path, format):
    pytest.importorskip("pyarrow")
    store = fill_store(tmp_path, RNG.normal(size=(70, 1, 4, 8)))
    bring(store.path, export(store, format, tmp_path / "x"), format)
    features = store.features("d", "x")
    expected = store.features("d", "mine").read("view_mean")
    if format == "clip-retrieval":
        expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    np.testing.assert_allclose(features.read("view_mean"), expected, atol=1e-3)
    for name in ("frames", "view_consensus"):
        with pytest.raises(UsageError, match=f"has no {name}"):
            features.require_array(name)
    assert features.frames is None
    assert features.sealed["rows"] == 70


def test_parquet_of_the_wrong_kind_is_refused(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for columns, words in [
        ({"id": ["a"]}, "no columns id and embedding"),
        ({"id": ["a"], "embedding": ["b"]}, "write it as list<float>"),
        ({"id": ["a"], "embedding": [[1, 2]]}, "int64, not embeddings"),
        ({"id": ["a", "b"], "embedding": [[1.0], [1.0, 2.0]]}, "of lengths"),
        ({"id": ["a", "b"], "embedding": [[1.0], None]}, "null"),
        ({"id": ["a", "a"], "embedding": [[1.0], [2.0]]}, "twice"),
        ({"id": [None], "embedding": [[1.0]]}, "one line of text"),
    ]:
        parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
        with pytest.raises(UsageError, match=words):
            bring(tmp_path / "new.zarr", tmp_path / "x.parquet", "parquet")
    (tmp_path / "x.parquet").write_text("no")
    with pytest.raises(UsageError, match="no columns id and embedding"):
        bring(tmp_path / "new.zarr", tmp_path / "x.parquet", "parquet")
