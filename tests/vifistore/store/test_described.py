"""Files of descriptions, and the text sets that are made of them."""

import json

import numpy as np
import pytest

from vifistore.errors import UsageError
from vifistore.store.described import padded, read_descriptions, text_counts, texts_in_order


def test_texts_are_read_in_their_order(tmp_path):
    path = tmp_path / "d.json"
    path.write_text(json.dumps({"jump": ["bend", "fly"], "run": "a person runs"}))
    found = read_descriptions(path)
    assert found == {"jump": ("bend", "fly"), "run": ("a person runs",)}
    assert texts_in_order(["run", "jump"], found) == [["a person runs"], ["bend", "fly"]]
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"a": ["x"]}).encode())
    assert read_descriptions(path) == {"a": ("x",)}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1]", "are no JSON object"),
        ("{", "cannot be read"),
        ("{}", "names no class"),
        ('{"a": ["x"], "a": ["y"]}', "class 'a' is in it twice"),
        ('{"a": 3}', "give a text, or a list of texts"),
        ('{"a": ["x", 3]}', "give a text, or a list of texts"),
        ('{"a": []}', "has no text"),
        ('{"a": ["x", " "]}', "an empty one"),
        (json.dumps({"a": [str(n) for n in range(257)]}), "keep 256 or fewer"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_what_is_no_file_of_descriptions(tmp_path, text, told):
    path = tmp_path / "d.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=told) as error:
        read_descriptions(path)
    assert len(str(error.value)) < 400


def test_what_cannot_be_read(tmp_path):
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(UsageError, match="cannot be read"):
            read_descriptions(path)
    large = tmp_path / "large.json"
    with large.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(UsageError, match="are the most"):
        read_descriptions(large)


def test_classes_without_texts_and_with_the_same():
    with pytest.raises(UsageError, match=r"lack 2 of 3 classes \(b, c\)"):
        texts_in_order(["a", "b", "c"], {"a": ("x",)})
    with pytest.raises(UsageError, match="'a' and 'b' are described by the same texts"):
        texts_in_order(["a", "b"], {"a": ("x",), "b": ("x",)})


def test_behind_the_last_text_of_a_class_are_zeros():
    texts = [["a", "b"], ["c"], ["d", "e"]]
    embeddings = np.arange(1, 11, dtype=np.float32).reshape(5, 2)
    found = padded(embeddings, texts)
    np.testing.assert_array_equal(found[1], [[5, 6], [0, 0]])
    np.testing.assert_array_equal(found[2], [[7, 8], [9, 10]])
    told = {"descriptions": texts}
    np.testing.assert_array_equal(text_counts("x", told, found.shape), [2, 1, 2])
    assert text_counts("x", {}, found.shape) is None
