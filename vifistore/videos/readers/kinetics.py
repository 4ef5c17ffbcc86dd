"""How downloads of Kinetics name a clip; they differ in folder, time stamps and extension."""

from vifistore.errors import UsageError
from vifistore.videos.match import youtube_id


def clip_name(video: str, times: tuple[str, str], where: str) -> str:
    """`<id>_<start>_<end>.mp4` with six digits each, the name most downloads give.

    Raises UsageError for what is no YouTube id, or no times in seconds.
    """
    if youtube_id(video) != video:
        raise UsageError(f"{where}: {video!r} is no YouTube id of 11 characters; mend the row")
    if not all(times):
        return f"{video}.mp4"
    try:
        start, end = (int(float(time)) for time in times)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{where}: {times} are no times in seconds; mend the row") from error
    return f"{video}_{start:06d}_{end:06d}.mp4"
