"""Opening a file with FFmpeg as what a dataset may hold: a video that lies in that file alone."""

import os
from io import BufferedIOBase
from pathlib import Path
from typing import Any

# FFmpeg tells a format by content, so a playlist named .mp4 would open the files or addresses it
# lists: only formats that hold their own video, read from a local file.
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": (
        "3g2,3gp,asf,avi,dv,flv,gif,h264,hevc,image2,jpeg_pipe,m4v,matroska,mjpeg,mov,mp4,mpeg,"
        "mpegts,mpegvideo,mxf,ogg,png_pipe,rm,webm,yuv4mpegpipe"
    ),
}


def open_container(video: Path | BufferedIOBase, timeout: float | None = None) -> Any:
    """PyAV container of a video file, or of a file object, to be read.

    `timeout` bounds each wait for data, in seconds. Tags may hold bytes that are not UTF-8. Raises
    what PyAV does, av.error.ArgumentError for a format or a protocol that is not allowed.
    """
    import av

    # From 19 on PyAV takes tags as they come; before, it had to be told so.
    is_old = int(av.__version__.split(".")[0]) < 19
    lenient: dict[str, Any] = {"metadata_errors": "replace"} if is_old else {}
    # A relative name may look like an address: `concat:a.mp4`.
    source = os.path.abspath(video) if isinstance(video, Path) else video
    return av.open(source, options=dict(_OPTIONS), timeout=timeout, **lenient)
