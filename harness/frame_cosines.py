"""Cosines of stored frames with queries, computed while their numbers are in the processor's cache.

Frames are kept in float16, and to widen them costs more than all that is done with them: it is done
once, in slabs, for lengths and products alike.
"""

import numpy as np

from harness.slabs import run_slabs

# In float32 so many frames of 512 dimensions take a mebibyte.
_SLAB_FRAMES = 512


def frame_cosines(frames: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosines float32 [frame query] of frames [frame dim], of any length, with queries [query dim]
    of unit length; and which frames are usable, bool [frame]: finite and not zero.

    Those of a frame that is not usable are not a number.
    """
    cosines = np.empty((len(frames), len(queries)), np.float32)
    usable = np.empty(len(frames), bool)

    def work(slab: slice) -> None:
        wide = frames[slab].astype(np.float32)
        squares = np.einsum("fd,fd->f", wide, wide)
        usable[slab] = np.isfinite(squares) & (squares > 0)
        lengths = np.sqrt(np.where(usable[slab], squares, np.nan))
        cosines[slab] = (wide @ queries.T) / lengths[:, None]

    run_slabs(work, len(frames), _SLAB_FRAMES)
    return cosines, usable
