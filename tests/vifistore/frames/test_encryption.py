from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vifistore.frames.bitstreams.encryption import is_encrypted


def test_an_encrypted_sample_entry_is_seen(videos: dict[str, Path], tmp_path: Path) -> None:
    encrypted = tmp_path / "encrypted.mp4"
    encrypted.write_bytes(videos["h264.mp4"].read_bytes().replace(b"avc1", b"encv"))
    assert is_encrypted(encrypted)
    assert not any(is_encrypted(path) for path in videos.values())


@settings(deadline=None, max_examples=50)
@given(
    junk=st.lists(
        st.sampled_from([b"moov", b"trak", b"stsd", b"hdlr", b"\0\0\0\x01", b"\xff" * 4, b"\0" * 8])
        | st.binary(max_size=12),
        max_size=40,
    )
)
def test_no_bytes_make_it_fail_or_lie(
    junk: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "junk"
    path.write_bytes(b"\0\0\0\x08ftyp" + b"".join(junk))
    assert is_encrypted(path) is False


@pytest.mark.shared
@pytest.mark.parametrize(
    "name", ["mp4parse-rust__short-cenc.mp4", "mp4parse-rust__av1-clearkey-cbcs-video.mp4"]
)
def test_real_encrypted_files_are_seen(shared: Path, name: str) -> None:
    assert is_encrypted(shared / "videos/hard" / name)
