"""`vifi attention S`: draw what checkpoints look at in videos, side by side."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vifi.command_line.choices import choose_dataset
from vifi.command_line.console import parse, say
from vifi.command_line.shared_arguments import StoreArguments
from vifistore.errors import UsageError
from vifistore.frames.decoders.decoder_names import DecoderName

if TYPE_CHECKING:
    import pandas as pd

    from vifistore.extract.frame_attention import VideoAttention
    from vifistore.sources.footage import Footage
    from vifistore.store.dataset import Dataset

# Where the figures stand in a results folder.
FOLDER = "attention"
_DEFAULT_FRAMES = 16


@dataclass(frozen=True, kw_only=True)
class AttentionArguments(StoreArguments):
    """Draw the class token's attention over the sampled frames of videos, models side by side."""

    dataset: str = ""
    """Dataset of the videos. Default: the store's only one."""
    checkpoints: tuple[str, ...] = ()
    """Names or digests of checkpoints, or names of feature sets, in the order of the figure."""
    videos: tuple[str, ...] = ()
    """Ids of videos, a figure each; the end of an id or path will do, also without its suffix."""
    frames: int | None = None
    """Frames sampled from each video; up to 8 of them are drawn, the strips show all. Default: as
    many as the checkpoints were trained with, else 16."""
    preprocess: Literal["", "openclip", "paper"] = ""
    """How frames become the tower's input. Default: as each checkpoint was trained."""
    decoder: DecoderName = "decord"
    """Library that decodes the videos."""
    out: Path | None = None
    """Folder for the figures (PNG and PDF)."""
    results: Path | None = None
    """Results folder whose page shall show them; --out is then DIR/attention unless given. The page
    has its own copies of figures that lie elsewhere."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("attention", AttentionArguments, arguments)
    _check(wanted)

    # The store takes a while to import: only once the call is known to be right.
    from vifi.searching.video_files import row_of, video_file
    from vifistore.store import open_store

    store = open_store(wanted.store)
    dataset = store.dataset(choose_dataset(store, wanted.dataset))
    table = dataset.videos()
    rows = [row_of(table, name, dataset.name) for name in dict.fromkeys(wanted.videos)]
    dataset.require_whole_videos("maps are of whole videos")
    files = dataset.files()
    videos = {row: video_file(files, row, dataset.name) for row in rows}
    for file in _draw_all(dataset, table, videos, wanted):
        say(str(file))
    return 0


def _draw_all(
    dataset: "Dataset",
    table: "pd.DataFrame",
    videos: "dict[int, Footage]",
    wanted: AttentionArguments,
) -> list[Path]:
    """Draw the videos of these rows, for the page too where there is a results folder."""
    # torch and matplotlib: only once the call is known to be right.
    from vifistore.extract.frame_attention import common_frames, load_checkpoints, video_attention

    models = load_checkpoints(dataset, wanted.checkpoints)
    folder = _folder(wanted)
    folder.mkdir(parents=True, exist_ok=True)
    files, drawn = [], []
    for row, footage in videos.items():
        video = table.iloc[row].to_dict()
        seen = video_attention(
            footage,
            models,
            frames=wanted.frames or common_frames(models) or _DEFAULT_FRAMES,
            preprocessing=wanted.preprocess,
            decoder=wanted.decoder,
        )
        overlays, strips = _draw(folder / f"{dataset.name}-{row}", video, seen)
        files += [*overlays, *strips]
        drawn.append((video, overlays[0], strips[0]))
    if wanted.results is not None:
        _show_on_page(wanted.results, dataset.name, list(models), drawn)
    return files


def _check(wanted: AttentionArguments) -> None:
    for field in ("checkpoints", "videos"):
        if not getattr(wanted, field):
            raise UsageError(f"--{field} is missing; see vifi attention --help")
    _folder(wanted)
    if wanted.frames is not None and wanted.frames < 1:
        raise UsageError(f"--frames is {wanted.frames}; give 1 or more")


def _folder(wanted: AttentionArguments) -> Path:
    """Where the figures go. Raises UsageError where that is not said."""
    if wanted.out is not None:
        return wanted.out
    if wanted.results is None:
        raise UsageError("say where the figures go: --out FOLDER or --results DIR")
    return wanted.results / FOLDER


def _draw(path: Path, video: dict, seen: "VideoAttention") -> tuple[list[Path], list[Path]]:
    """The files of the two figures of a video: over its frames, and over time."""
    from reports.figures.attention_heat import attention_overlays, attention_strips

    # In a folder of classes the id begins with the label.
    is_told = not video["label"] or video["id"].startswith(f"{video['label']}/")
    title = video["id"] if is_told else f"{video['label']}: {video['id']}"
    over_time = path.with_name(f"{path.name}-over-time")
    seconds = seen.seconds.tolist()
    return (
        attention_overlays(seen.frames, seconds, seen.maps, path, title),
        attention_strips(seconds, seen.maps, over_time, title),
    )


def _show_on_page(
    results: Path, dataset: str, models: list[str], drawn: list[tuple[dict, Path, Path]]
) -> None:
    """Add the figures to those of the page; those of the same video are replaced."""
    from harness.results.json_artefacts import AttentionFigure
    from vifi.scoring.store_facts import record_command

    figures = [
        AttentionFigure(
            dataset=dataset,
            id=video["id"],
            label=video["label"],
            models=tuple(models),
            image=_inside(results, overlay),
            strip=_inside(results, strip),
        )
        for video, overlay, strip in drawn
    ]
    AttentionFigure.add(results, figures)
    record_command(results)


def _inside(results: Path, figure: Path) -> str:
    """Where a figure is in the results folder; one from elsewhere is copied there."""
    if not figure.resolve().is_relative_to(results.resolve()):
        place = results / FOLDER / figure.name
        place.parent.mkdir(parents=True, exist_ok=True)
        figure = Path(shutil.copyfile(figure, place))
    return figure.resolve().relative_to(results.resolve()).as_posix()
