"""Which locations are addresses of object stores, and which of these would be read as another."""

import pytest

from vifistore.errors import UsageError
from vifistore.store.key_value.object_address import object_url, require_plain
from vifistore.store.zarr_format.backend import Backend


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("s3://bucket/S.zarr", "s3://bucket/S.zarr"),
        ("s3:/bucket/a/S.zarr/", "s3://bucket/a/S.zarr"),
        ("gs://b/x", "gs://b/x"),
        ("s3", None),
        ("folder/s3:/x", None),
        ("/data/S.zarr", None),
    ],
)
def test_what_counts_as_a_url(location, url):
    assert object_url(location) == url


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/run#1.zarr",
        "s3://bucket/run?1.zarr",
        "s3://bucket/a/../b.zarr",
        "s3://bucket/%2e%2E/b.zarr",
        "s3://bucket/a/./b.zarr",
        "s3://bucket/a//b.zarr",
        "s3://bucket/a\\b.zarr",
        "s3://bucket:9000/b.zarr",
        "s3://user:secret@bucket/b.zarr",
        "s3://bücket/b.zarr",
    ],
)
def test_what_would_be_read_as_another_address_is_refused(url):
    with pytest.raises(UsageError, match=r"the address of a store in .* %23 stands for #") as told:
        Backend(url, writable=False)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("path", ["", "/a b+c [1].zarr", "/ä/x.zarr", "/run%231.zarr", "/a.b/.c"])
def test_other_odd_characters_are_taken_as_they_are(path):
    require_plain(f"s3://my-bucket_1.x{path}")
    obstore = pytest.importorskip("obstore.store", reason="obstore is not installed")
    read = obstore.from_url(f"s3://my-bucket_1.x{path}")
    assert (read.prefix or "") == path.strip("/").replace("%23", "#")


@pytest.mark.parametrize("location", ["ftp://host/S.zarr", "S3://bucket/S.zarr", "file:///S.zarr"])
def test_other_addresses_are_no_paths(location):
    with pytest.raises(UsageError, match="give the path of a folder, or s3://BUCKET/NAME"):
        Backend(location, writable=True)


def test_the_cache_lies_beside_the_folder_that_one_is_in(tmp_path, monkeypatch):
    (tmp_path / "S.zarr/videos").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "S.zarr")
    assert Backend(".", writable=False).cache_folder == tmp_path / "S.zarr.cache"
    monkeypatch.chdir("videos")
    assert Backend("..", writable=False).cache_folder == tmp_path / "S.zarr.cache"
    with pytest.raises(UsageError, match="/ is no place for a store"):
        Backend("/", writable=False)
