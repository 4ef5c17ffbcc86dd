import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from vifistore.errors import DecodeError
from vifistore.frames.bitstreams.packets import demux, open_video, scan_packets


def test_frames_with_times_of_their_own_are_numbered(videos: dict[str, Path]) -> None:
    for name in ("h264.mp4", "h264.mkv"):
        table = scan_packets(videos[name])
        assert (table.num_frames, table.declared_frames, table.fps) == (40, 40, 25.0)
        np.testing.assert_allclose(table.seconds, np.arange(40) / 25, atol=1e-3)


@pytest.mark.parametrize("name", ["open-gop.mp4", "xvid.avi", "mpeg1.mpg"])
def test_frames_that_a_number_does_not_tell_are_not(videos: dict[str, Path], name: str) -> None:
    table = scan_packets(videos[name])
    assert table.seconds is None
    assert table.fps == 25.0


def test_a_playlist_named_as_a_video_shows_nothing(videos: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").symlink_to(videos["h264.mp4"])
    playlist = tmp_path / "v.mp4"
    playlist.write_text("ffconcat version 1.0\nfile secret.mp4\n")
    with pytest.raises(DecodeError, match="playlist"):
        open_video(playlist)


def test_what_a_playlist_lists_is_not_even_opened(tmp_path: Path) -> None:
    """Opening a pipe would wait for ever."""
    os.mkfifo(tmp_path / "pipe.mp4")
    playlist = tmp_path / "v.mp4"
    playlist.write_text("ffconcat version 1.0\nfile pipe.mp4\n")
    program = (
        "import sys; from pathlib import Path; from vifistore.errors import DecodeError\n"
        "from vifistore.frames.bitstreams.packets import open_video\n"
        "try: open_video(Path(sys.argv[1]))\n"
        "except DecodeError as error: print(error.reason)"
    )
    command = [sys.executable, "-c", program, str(playlist)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "not a video\n"


def test_frames_cut_off_by_an_edit_list_do_not_count(edited_video: Path) -> None:
    table = scan_packets(edited_video)
    assert table.seconds is None
    assert (table.num_frames, table.declared_frames) == (30, 40)


def test_damage_between_packets_keeps_what_came_before(videos: dict[str, Path]) -> None:
    class Damaged:
        """A container that breaks off after 20 packets."""

        def __init__(self, container: Any) -> None:
            self.container = container

        def demux(self, stream: Any) -> Iterator[Any]:
            for number, packet in enumerate(self.container.demux(stream)):
                if number == 20:
                    raise av.error.InvalidDataError(1, "broken")
                yield packet

    container, stream = open_video(videos["h264.mp4"])
    with container:
        packets = demux(Damaged(container), stream)
        frames = [frame for packet in packets for frame in stream.codec_context.decode(packet)]
    assert len(frames) == 20
