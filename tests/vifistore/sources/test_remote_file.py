"""Files of web servers and object stores, whole and by ranges, with all that goes wrong there."""

import contextlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from vifistore.errors import UsageError
from vifistore.sources import asking, remote_file
from vifistore.sources.asking import NetworkError, without_secrets
from vifistore.sources.buckets import BucketRoot
from vifistore.sources.footage import opened
from vifistore.sources.roots import footage_of, footage_of_wire, root_of

CONTENT = np.random.default_rng(0).integers(0, 256, 700_000, np.uint8).tobytes()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(asking, "_FIRST_WAIT_SECONDS", 0.001)


@pytest.fixture
def file(web):
    (web.folder / "a b#é.mp4").write_bytes(CONTENT)
    return root_of(web.url).file("a b#é.mp4")


def whole(footage, most_bytes=10**7) -> bytes:
    with footage.at_hand(most_bytes) as readable, opened(readable) as found:
        return found.read()


def test_a_file_comes_whole_or_in_ranges(web, file):
    with file.at_hand(10**6) as readable:
        assert isinstance(readable, Path)
        assert readable.read_bytes() == CONTENT
    with file.at_hand(10**5) as readable:
        assert not isinstance(readable, Path)
        assert readable.read(10) == CONTENT[:10]
        readable.seek(-20, os.SEEK_END)
        assert (readable.read(), readable.tell()) == (CONTENT[-20:], len(CONTENT))
        readable.seek(300_000)
        assert readable.read(200_000) == CONTENT[300_000:500_000]
    assert whole(file, 0) == CONTENT
    stamp = file.stamp()
    assert stamp.size_bytes == len(CONTENT)
    mtime = (web.folder / "a b#é.mp4").stat().st_mtime
    assert stamp.mtime_ns == int(mtime) * 10**9
    assert footage_of_wire(file.wire()) == file == footage_of(file.address)


def test_what_a_server_does_for_a_moment_does_not_matter(web, file):
    web.faults["a b#é.mp4"] = [503, 500, 429]
    with pytest.raises(NetworkError, match="429, after 3 tries"):
        file.stamp()
    web.faults["a b#é.mp4"] = [503, "cut"]
    assert whole(file) == CONTENT
    # Behind the cut it goes on where it was.
    assert web.asked[-1][1] == f"bytes={len(CONTENT) // 2}-"
    web.faults["a b#é.mp4"] = ["cut", 500]
    assert whole(file, 0) == CONTENT


def test_what_does_not_pass_is_told(web, file):
    web.always["a b#é.mp4"] = "cut"
    with pytest.raises(NetworkError, match="the connection was cut, after 3 tries"):
        whole(file, 0)
    web.always["a b#é.mp4"] = 403
    asked = len(web.asked)
    with pytest.raises(NetworkError, match="403; check who may read it"):
        whole(file)
    assert len(web.asked) == asked + 1
    with pytest.raises(FileNotFoundError):
        whole(root_of(web.url).file("none.mp4"))
    assert not root_of(web.url).file("none.mp4").exists()


def test_a_file_that_fails_while_it_is_read_is_no_shorter_video(web, file):
    def decode() -> None:
        with file.at_hand(0) as readable:
            web.always["a b#é.mp4"] = 503
            readable.seek(400_000)
            # As a decoder may do, which takes it for the end, and asks on.
            with contextlib.suppress(OSError):
                readable.read(10)
            asked = len(web.asked)
            assert (readable.read(10), len(web.asked)) == (b"", asked)

    with pytest.raises(NetworkError):
        decode()


def test_an_address_that_is_none_is_told():
    """As a server may send on to, or a user may type."""
    with pytest.raises(NetworkError, match="its address is none"):
        root_of("http://[::1/v").file("a.mp4").stamp()


def test_a_root_is_as_people_write_it(web):
    folder = web.folder / "my vidéos"
    folder.mkdir()
    (folder / "a b.mp4").write_bytes(CONTENT)
    for name in ("my vidéos", "my%20vid%C3%A9os"):
        assert whole(root_of(f"{web.url}/{name}").file("a b.mp4")) == CONTENT


def test_a_server_without_ranges_or_lengths(web, file, monkeypatch):
    web.gives_ranges = web.tells_length = False
    assert whole(file) == whole(file, 0) == CONTENT
    assert file.stamp().size_bytes == 0
    monkeypatch.setattr(remote_file, "_MOST_WITHOUT_RANGES", 10**5)
    with pytest.raises(NetworkError, match="no ranges"):
        whole(file, 0)


def test_an_empty_file(web):
    (web.folder / "e.mp4").write_bytes(b"")
    file = root_of(web.url).file("e.mp4")
    assert whole(file) == whole(file, 0) == b""
    assert (file.stamp().size_bytes, file.exists()) == (0, True)


def test_a_file_that_changes_between_its_ranges(web, file):
    def decode() -> None:
        with file.at_hand(0) as readable:
            os.utime(web.folder / "a b#é.mp4", (1, 1))
            readable.seek(400_000)
            readable.read(10)

    with pytest.raises(NetworkError, match="changed"):
        decode()


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_objects_of_a_bucket(bucket, monkeypatch, tmp_path, scheme):
    import boto3

    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    for key, body in (("u/a b#é.mp4", CONTENT), ("u/e.mp4", b"")):
        client.put_object(Bucket="bucket", Key=key, Body=body, ACL="public-read")
    account = tmp_path / "account.json"
    # Its interface for XML is that of S3; nobody is asked for a token.
    told = {"gcs_base_url": os.environ["AWS_ENDPOINT_URL"], "disable_oauth": True}
    empty = dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
    account.write_text(json.dumps({**told, **empty}))
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(account))
    root = root_of(f"{scheme}://bucket/u/")
    if scheme == "gs":
        monkeypatch.setenv("GOOGLE_ALLOW_HTTP", "true")
    file = root.file("a b#é.mp4")
    assert whole(file) == whole(file, 0) == CONTENT
    assert file.stamp().size_bytes == len(CONTENT)
    with file.at_hand(0) as readable:
        assert readable.stamp == file.stamp()
    assert whole(root.file("e.mp4")) == whole(root.file("e.mp4"), 0) == b""
    assert not root.file("none.mp4").exists()
    assert sorted(root.listed("").files) == ["a b#é.mp4", "e.mp4"]
    assert footage_of_wire(file.wire()) == file


def test_an_object_store_that_does_not_answer(monkeypatch):
    pytest.importorskip("obstore", reason="obstore is not installed")
    for key, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "secret-key",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(NetworkError, match="after 3 tries") as told:
        root_of("s3://nowhere/v").file("a.mp4").stamp()
    assert "secret" not in str(told.value)


@pytest.fixture
def no_credentials(monkeypatch):
    """The environment tells nothing of an object store."""
    pytest.importorskip("obstore", reason="obstore is not installed")
    for name in os.environ:
        if name.startswith(("AWS_", "GOOGLE_", "AZURE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_a_machine_that_has_no_credentials_is_not_asked_again(web, no_credentials, monkeypatch):
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", web.url)
    monkeypatch.setattr(asking.time, "sleep", lambda seconds: pytest.fail("it waits"))
    with pytest.raises(NetworkError) as told:
        BucketRoot("s3://bucket/v").listed("")
    # The server knows no PUT.
    why = "the environment has no credentials, and this machine gives none: the server answers 501"
    assert str(told.value) == why


def test_whoever_waits_for_a_listing_is_told(no_credentials, monkeypatch, log):
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(NetworkError, match=r"this machine gives none: .*, after 3 tries"):
        BucketRoot("s3://bucket/v").listed("")
    (line,) = log
    assert line.startswith("s3://bucket/v does not answer (the environment has no credentials, ")
    assert line.endswith("): asking again, 3 times in all")


def test_secrets_are_not_told():
    told = without_secrets("GET https://me:hush@h/a.mp4?X-Amz-Signature=abc) failed")
    assert told == "GET https://h/a.mp4?...) failed"
    for url in ("https://me:hush@host/v", "https://host/v?sig=hush", "s3://b/v?sig=hush"):
        with pytest.raises(UsageError) as error:
            root_of(url)
        assert "hush" not in str(error.value)


def test_roots_are_told_apart(tmp_path):
    assert root_of(str(tmp_path)) == tmp_path
    # As they arrive of the command line.
    assert str(root_of(Path("s3://bucket/videos/"))) == "s3://bucket/videos"
    assert str(root_of("HTTPS://host/v//")) == "https://host/v"
    assert root_of(root_of("gs://b")) == root_of("gs://b")
    assert root_of("C:/videos") == Path("C:/videos")


def test_a_redirection_that_leads_nowhere_is_as_a_file_that_is_not_there(web):
    """A server that sends one file round in circles has the others."""
    web.always["a b#é.mp4"] = 302
    with pytest.raises(FileNotFoundError, match="the server answers 302"):
        whole(root_of(web.url).file("a b#é.mp4"), 0)
