"""Moments by contrast: windows whose frames answer a query better than the rest of the video.

After the scores of Zheng et al., Training-free Video Temporal Grounding using Large-scale
Pre-trained Models (ECCV 2024, arXiv 2408.16219), without their language model:

    s(a, b) = mean_{a <= t < b} c_t - mean_{t < a or t >= b} c_t          (their static score)

for windows [a, b) of several lengths at every frame; of those that overlap by more than 0.3 the
best is kept, and its start moves back to where the smoothed cosine began to rise (their dynamic
part: what leads to a state belongs to it). Theirs differs in three things: lengths are multiples of
a number of frames that is set for each dataset, where here it is a ninth of the video and at most
17 seconds; frames below a certain cosine of BLIP-2's count as zero; and several wordings of a query
by a language model are averaged.
"""

import numpy as np

from harness.retrieval.frame_runs import FrameRun, kept_apart, smoothed

_SHARE = 9
_MOST_SECONDS = 17.0
# The longest window is half the video, as theirs for two of three datasets.
_LONGEST_SHARE = 0.5
# Of a long video so many lengths: windows of up to some minutes.
_MOST_LENGTHS = 20
_MOST_OVERLAP = 0.3
_KEPT = 10
# A smaller rise than this from frame to frame is none (`ths` in their code).
_RISE = 0.0005


def contrasts(times: np.ndarray, cosines: np.ndarray) -> list[FrameRun]:
    """The ten best windows of one video; times float64, cosines float32 [time]."""
    total = len(cosines)
    sums = np.concatenate([[0.0], np.cumsum(cosines, dtype=np.float64)])
    firsts, stops, scores = [], [], []
    for length in _lengths(times):
        first = np.arange(total - length + 1)
        inside = sums[first + length] - sums[first]
        # Of a window that is the whole video there is no rest.
        outside = (sums[-1] - inside) / (total - length) if length < total else inside / length
        firsts.append(first)
        stops.append(first + length)
        scores.append(inside / length - outside)
    first, stop, score = map(np.concatenate, (firsts, stops, scores))
    kept = kept_apart(first, stop, score, _MOST_OVERLAP, _KEPT)
    begins = _where_rises_begin(cosines)
    return [FrameRun(int(begins[first[i]]), int(stop[i]), float(score[i])) for i in kept]


def _lengths(times: np.ndarray) -> list[int]:
    """Lengths of windows, in frames: multiples of a step, one of a frame in any case."""
    total = len(times)
    seconds = (times[-1] - times[0]) / max(total - 1, 1)
    step = total / _SHARE
    if seconds > 0:
        step = min(step, _MOST_SECONDS / seconds)
    longest = max(1, int(total * _LONGEST_SHARE))
    step = max(1, min(round(step), longest))
    return list(range(step, longest + 1, step))[:_MOST_LENGTHS]


def _where_rises_begin(cosines: np.ndarray) -> np.ndarray:
    """Of each time the first from which the smoothed cosine has risen all the way to it,
    int64 [time]; itself where it did not rise."""
    is_rising = np.concatenate([[False], np.diff(smoothed(cosines)) > _RISE])
    # A time that does not rise begins anew.
    return np.maximum.accumulate(np.where(is_rising, 0, np.arange(len(cosines))))
