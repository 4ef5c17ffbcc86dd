"""Datasets of videos in tar files, on this machine and on servers."""

import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from tests.vifistore.extract.conftest import scan
from tests.vifistore.extract.sets import NAME, SETTINGS, arrays
from vifi.__main__ import run
from vifi.searching.video_files import ForbiddenError, video_file
from vifistore.errors import UsageError
from vifistore.extract.job import extract_dataset
from vifistore.frames.decoders import decoding
from vifistore.frames.decoders.decoding import decode_video
from vifistore.frames.previews.thumbnails import thumbnail
from vifistore.scanning.relocate import find_videos, relocate
from vifistore.sources import asking
from vifistore.sources.footage import LocalFile
from vifistore.sources.roots import root_of
from vifistore.sources.shard_index import read_index
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store
from vifistore.videos.listing import read_source
from vifistore.videos.shard_names import expanded


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    monkeypatch.setattr(asking, "_FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))


@pytest.fixture
def local(tmp_path, clips, tiny):
    """What the clips give from a folder."""
    store = scan(tmp_path / "local.zarr", clips)
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    return arrays(store)


def add(tar: tarfile.TarFile, name: str, content: bytes, **fields: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    tar.addfile(info, io.BytesIO(content))


def pack(folder: Path, clips: Path) -> Path:
    """Two shards of three clips each as WebDataset has them: key.mp4, key.cls and more."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = sorted(clips.rglob("*.mp4"))
    for number in range(2):
        with tarfile.open(folder / f"{number:04}.tar", "w") as tar:
            for place, path in enumerate(paths[3 * number : 3 * number + 3]):
                key = f"{number}{place}"
                add(tar, f"{key}.mp4", path.read_bytes())
                add(tar, f"{key}.cls", path.parent.name.encode())
                add(tar, f"{key}.json", json.dumps({"caption": f"clip {path.stem}"}).encode())
    return folder


def vifi_scan(store: Path, *words: object) -> int:
    return run(["scan", str(store), *map(str, words), "--dataset", "d"])


def assert_same(store, local: dict) -> None:
    found = arrays(store)
    for name in ("frames", "timestamps", "content_digest", "status", "reason", "message"):
        np.testing.assert_array_equal(found[name], local[name])


def test_shards_of_a_folder(clips, tmp_path, local, tiny):
    pack(tmp_path / "shards", clips)
    path = tmp_path / "s.zarr"
    assert vifi_scan(path, tmp_path / "shards" / "{0000..0001}.tar") == 0
    store = open_store(path, mode="a")
    dataset, videos = store.dataset("d"), store.videos("d")
    assert videos["path"].tolist()[:2] == ["0000.tar/00.mp4", "0000.tar/01.mp4"]
    there = open_store(tmp_path / "local.zarr").videos("d")
    for name in ("label", "num_frames", "width", "size_bytes"):
        assert videos[name].tolist() == there[name].tolist()
    assert dataset.captions()["text"].tolist() == [f"clip {n}" for n in (0, 2, 4, 1, 3, 5)]
    report = extract_dataset(dataset, SETTINGS, loaded=tiny)
    assert (report.encoded, report.quarantined) == (6, 0)
    assert_same(store, local)
    assert list(verify_store(open_store(path))) == []
    # What lay in a folder is not encoded again.
    scan(path, clips, "e")
    report = extract_dataset(open_store(path, mode="a").dataset("e"), SETTINGS, loaded=tiny)
    assert (report.encoded, report.reused) == (0, 6)
    files = dataset.files()
    assert thumbnail(video_file(files, 0, "d"), 0.2) == thumbnail(clips / "blue jump/0.mp4", 0.2)
    files.paths[0] = "0000.tar/00.cls"
    with pytest.raises(ForbiddenError):
        video_file(files, 0, "d")


@pytest.mark.parametrize("named", ["", "*.tar", "0000.tar"])
def test_shards_are_named_in_several_ways(clips, tmp_path, named):
    folder = pack(tmp_path / "shards", clips)
    listing = read_source(folder / named if named else folder)
    count = 3 if named == "0000.tar" else 6
    assert (len(listing.ids), listing.class_names) == (count, sorted(set(listing.labels)))
    assert listing.splits == {}
    # Beside videos, shards are archives of what lies there already.
    shutil.copytree(clips, folder / "unpacked")
    listing = read_source(folder)
    assert [path for path in listing.paths if ".tar" in path] == []


def test_labels_are_folders_where_nothing_tells_them(clips, tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for path in sorted(clips.rglob("*.mp4")):
            tar.add(path, f"./{path.relative_to(clips)}")
    listing = read_source(tmp_path / "a.tar", split="train")
    assert listing.ids[0] == "a.tar/blue jump/0.mp4"
    assert listing.class_names == ["blue jump", "red run"]
    assert list(listing.splits) == ["train"]
    # A list names videos in shards, too.
    (tmp_path / "list.csv").write_text("path,label\na.tar/red run/1.mp4,red\n")
    assert read_source(tmp_path / "list.csv").paths == ["a.tar/red run/1.mp4"]


def test_numbers_are_labels_with_a_class_file(clips, tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "x.mp4", b"1")
        add(tar, "x.cls", b"1")
        add(tar, "y.mp4", b"1")
        add(tar, "y.json", b'{"label": 0, "caption": "a dog"}')
        add(tar, "z.mp4", b"1")
        add(tar, "z.json", b"{")
    (tmp_path / "names.txt").write_text("run\njump\n")
    listing = read_source(tmp_path / "a.tar", labels=tmp_path / "names.txt")
    assert listing.labels == ["jump", "run", ""]
    assert listing.captions == [(1, "a dog")]
    assert any("cannot be read: z.json" in note for note in listing.notes)


def test_what_is_wrong_with_shards_is_told(tmp_path, clips):
    content = (clips / "blue jump/0.mp4").read_bytes()
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "one.mp4", b"old")
        add(tar, "../two.mp4", content)
        add(tar, "/three.mp4", content)
        add(tar, "four.mp4", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add(tar, "fi\nve.mp4", content)
        add(tar, "one.mp4", content)
        add(tar, "six.mp4", content)
    with (tmp_path / "a.tar").open("rb+") as file:
        last = read_index(LocalFile(tmp_path / "a.tar")).members["six.mp4"]
        file.truncate(last.offset + 100)
    listing = read_source(tmp_path / "a.tar")
    assert listing.paths == ["a.tar/one.mp4"]
    told = "\n".join(listing.notes)
    for what in ("leave the shard: ../two.mp4", "links", "control", "once", "cut short: six.mp4"):
        assert what in told
    assert decode_video(
        listing.files([0])[0], frames=2, clips=1, decoder="pyav"
    ).content_digest == decoding.content_digest(clips / "blue jump/0.mp4")


def test_a_shard_that_is_cut_in_its_first_video_says_so(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "one.mp4", b"x" * 5000)
    with (tmp_path / "a.tar").open("rb+") as file:
        file.truncate(1024)
    with pytest.raises(UsageError, match=r"no video is in a\.tar \(.*may be cut short: one\.mp4\)"):
        read_source(tmp_path / "a.tar")


def test_a_shard_that_is_damaged_in_the_middle(tmp_path, clips):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ("a.mp4", "b.mp4", "c.mp4"):
            add(tar, name, b"x" * 600)
    data = bytearray((tmp_path / "a.tar").read_bytes())
    data[1536 + 10] ^= 255
    (tmp_path / "a.tar").write_bytes(data)
    index = read_index(LocalFile(tmp_path / "a.tar"))
    assert list(index.members) == ["a.mp4"]
    assert index.notes() == ["damaged, and read up to there: byte 1,536"]


def test_a_header_that_asks_for_too_much(tmp_path):
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 2**40
    (tmp_path / "a.tar").write_bytes(info.tobuf() + bytes(2**21))
    with pytest.raises(UsageError, match="no tar file"):
        read_index(LocalFile(tmp_path / "a.tar"))


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_compressed_shards_are_refused(tmp_path, mode, capsys):
    for name in ("a.tar", f"b.tar.{mode}"):
        with tarfile.open(tmp_path / name, f"w:{mode}") as tar:
            add(tar, "a.mp4", b"1")
        assert vifi_scan(tmp_path / "s.zarr", tmp_path / name) == 2
        assert "is compressed" in capsys.readouterr().err
    (tmp_path / "c.tar").write_bytes(b"not a tar" * 100)
    assert vifi_scan(tmp_path / "s.zarr", tmp_path / "c.tar") == 2
    assert "no tar file" in capsys.readouterr().err
    assert vifi_scan(tmp_path / "s.zarr", tmp_path / "none.tar") == 2
    assert "none.tar cannot be read" in capsys.readouterr().err


def test_a_shard_that_changes(clips, tmp_path, local, tiny, log):
    folder = pack(tmp_path / "shards", clips)
    vifi_scan(tmp_path / "s.zarr", folder)
    dataset = open_store(tmp_path / "s.zarr", mode="a").dataset("d")
    # The same members at other places, but for one that is gone and one that is torn.
    paths = sorted(clips.rglob("*.mp4"))
    with tarfile.open(folder / "0000.tar", "w") as tar:
        add(tar, "first.txt", b"more")
        add(tar, "01.mp4", paths[1].read_bytes())
        add(tar, "02.mp4", b"no video")
    report = extract_dataset(dataset, SETTINGS, loaded=tiny)
    assert (report.encoded, report.quarantined) == (4, 2)
    entries = dataset.features(NAME).quarantine()
    assert [entry["reason"] for entry in entries] == ["missing", "not a video"]
    assert entries[0]["message"].endswith("the shard does not hold it, or is cut short")
    pack(folder, clips)
    report = extract_dataset(dataset, SETTINGS, loaded=tiny, retry=True)
    assert report.num_quarantined == 0
    assert_same(dataset.store, {**local, "message": arrays(dataset.store)["message"]})


def test_shards_on_servers(web, bucket, clips, tmp_path, local, tiny, monkeypatch):
    import boto3

    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    folder = pack(web.folder / "shards", clips)
    for path in folder.iterdir():
        client.upload_file(str(path), "bucket", f"packed/{path.name}")
    web.faults["shards/0001.tar"] = [503]
    names = f"{web.url}/shards/{{0000..0001}}.tar"
    for number, source in enumerate((names, f"{bucket}/packed", f"{bucket}/packed/*.tar")):
        path = tmp_path / f"{number}.zarr"
        assert vifi_scan(path, source) == 0
        dataset = open_store(path, mode="a").dataset("d")
        web.faults["shards/0000.tar"] = ["cut", 503]
        report = extract_dataset(dataset, SETTINGS, loaded=tiny)
        assert (report.encoded, report.quarantined) == (6, 0)
        assert_same(dataset.store, local)
    # The index is kept, and made again where it is lost or is none.
    (kept, *others) = (tmp_path / "user-cache/vifistore/shards").iterdir()
    assert len(others) == 3
    kept.write_text('{"00.mp4": [5, 99999999999]}')
    for root in (str(folder), f"{web.url}/shards", f"{bucket}/packed"):
        found = find_videos(dataset, root_of(root))
        assert (found.found, found.lost) == (6, [])
        relocate(dataset, found)
        picture = thumbnail(video_file(dataset.files(), 0, "d"), 0.2)
        assert picture == thumbnail(clips / "blue jump/0.mp4", 0.2)
    with pytest.raises(UsageError, match="cannot be read"):
        read_source(f"{web.url}/shards/none.tar")


def test_large_members_are_read_in_pieces(clips, tmp_path, web):
    folder = pack(web.folder / "shards", clips)
    whole = decode_video(clips / "blue jump/0.mp4", frames=4, clips=1, decoder="pyav")
    for root in (str(folder), f"{web.url}/shards"):
        files = read_source(f"{root}/0000.tar").files([0])
        for most in (10**6, 10):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(decoding, "_MOST_WHOLE_BYTES", most)
                found = decode_video(files[0], frames=4, clips=1, decoder="decord")
            assert found.content_digest == whole.content_digest
            np.testing.assert_array_equal(found.frames, whole.frames)


def test_braces():
    assert list(expanded("a-{008..011}.tar")) == [
        f"a-{n}.tar" for n in ("008", "009", "010", "011")
    ]
    assert list(expanded("{x,y}/{1..2}.tar")) == ["x/1.tar", "x/2.tar", "y/1.tar", "y/2.tar"]
    assert list(expanded("plain.tar")) == ["plain.tar"]
    for text in ("{0..99999999}.tar", "{{a.tar", "{0..999}{0..999}.tar"):
        with pytest.raises(UsageError):
            list(expanded(text))
