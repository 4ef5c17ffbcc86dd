"""A folder of .npy files as video_features writes it: `{stem}_{feature_type}.npy` `[frame dim]`,
`{stem}_timestamps_ms.npy` `[frame]` and `{stem}_fps.npy`, a video each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from vifistore.errors import UsageError, first_few
from vifistore.store.importing.id_file_names import file_stems
from vifistore.store.importing.import_source import (
    ImportSource,
    check_ids,
    digest_of_files,
    foreign_source,
    open_embeddings,
    open_npy,
)
from vifistore.store.writer import Shape

TIMESTAMPS, FPS = "_timestamps_ms.npy", "_fps.npy"


def open_npy_folder(path: Path, known_ids: Sequence[str]) -> ImportSource:
    """Open a folder of frame embeddings.

    A file belongs to the id of `known_ids` whose file name it has; with none known, its path
    below `path` without the ending is the id. Raises UsageError if a file belongs to no id, or
    the files do not have one shape.
    """
    stems = _embedding_files(path)
    ids = _ids_of(stems, known_ids, path) if known_ids else {stem: stem for stem in stems}
    entries = [(ids[stem], stem) for stem in stems]
    check_ids([name for name, _ in entries], path)
    files = [stems[stem] for _, stem in entries]
    frame, dim = _common_shape(files)
    shape = Shape(video=len(files), view=1, frame=frame, dim=dim)
    times = [path / f"{stem}{TIMESTAMPS}" for _, stem in entries]
    present = [time for time in times if time.is_file()]

    def read(start: int, stop: int) -> dict[str, np.ndarray]:
        return {
            "frames": np.stack([open_npy(file) for file in files[start:stop]])[:, None],
            "timestamps": np.stack([_seconds(time, frame) for time in times[start:stop]])[:, None],
        }

    for time in present:
        _seconds(time, frame)
    digest = digest_of_files([*files, *present], path)
    return foreign_source("npy", path, digest, shape, [name for name, _ in entries], read)


def _embedding_files(path: Path) -> dict[str, Path]:
    """Embedding files of a folder by their path below it without the ending, sorted."""
    found = {}
    kinds = set()
    for file in sorted(path.rglob("*.npy")):
        if file.is_symlink() or file.name.endswith((TIMESTAMPS, FPS)):
            continue
        stem, _, kind = file.relative_to(path).as_posix().removesuffix(".npy").rpartition("_")
        kinds.add(kind)
        found[stem] = file
    if not found:
        raise UsageError(
            f"{path} holds no embeddings; give a folder of STEM_TYPE.npy files, one per video"
        )
    if len(kinds) > 1:
        raise UsageError(
            f"{path} holds files of several types ({first_few(sorted(kinds), 4)}); give a folder "
            "of STEM_TYPE.npy files of one"
        )
    return found


def _ids_of(stems: Mapping[str, Path], known_ids: Sequence[str], path: Path) -> dict[str, str]:
    by_stem = dict(zip(file_stems(known_ids), known_ids, strict=True))
    # video_features itself puts the files of all folders into one.
    flat = Counter(stem.rpartition("/")[2] for stem in by_stem)
    for stem, name in list(by_stem.items()):
        last = stem.rpartition("/")[2]
        if flat[last] == 1:
            by_stem.setdefault(last, name)
    for stem, file in stems.items():
        if stem not in by_stem:
            raise UsageError(
                f"{file} belongs to no video of the dataset; give another --dataset, or remove it"
            )
    return {stem: by_stem[stem] for stem in stems}


def _common_shape(files: Sequence[Path]) -> tuple[int, int]:
    frames, dim = open_embeddings(files[0], [2], "[frame dim]").shape
    for file in files[1:]:
        shape = open_embeddings(file, [2], "[frame dim]").shape
        if shape != (frames, dim):
            raise UsageError(
                f"{file} has shape {shape}, {files[0]} {(frames, dim)}; extract every video with "
                "the same number of frames (video_features: extraction_total=N)"
            )
    return frames, dim


def _seconds(file: Path, num_frames: int) -> np.ndarray:
    if not file.is_file():
        return np.full(num_frames, np.nan, np.float32)
    milliseconds = open_npy(file)
    if milliseconds.shape != (num_frames,) or milliseconds.dtype.kind not in "fiu":
        raise UsageError(
            f"{file} has shape {milliseconds.shape} of {milliseconds.dtype}, not a number for each "
            f"of {num_frames} frames; remove it or extract it again"
        )
    return (np.asarray(milliseconds, np.float64) / 1000).astype(np.float32)
