"""`vifi tsne S`: draw feature sets side by side in two dimensions."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vifi.command_line.choices import choose_dataset, choose_features
from vifi.command_line.console import parse, say
from vifi.command_line.shared_arguments import StoreArguments
from vifistore.errors import UsageError, first_few, shell

if TYPE_CHECKING:
    import pandas as pd

    from harness.projection.panels import Panels
    from harness.results.csv_artefacts import Map
    from vifistore.store.store import Store


@dataclass(frozen=True, kw_only=True)
class TsneArguments(StoreArguments):
    """Draw feature sets side by side in two dimensions, one panel each."""

    out: Path
    """Figure to write; PNG, SVG and PDF of that name are all written, whatever it ends in, with the
    coordinates and measures as NAME.csv and NAME_separation.csv."""
    dataset: str = ""
    """Dataset to draw. Default: the store's only one."""
    features: tuple[str, ...] = ()
    """Names or ids of feature sets, a panel each. Default: the dataset's only one."""
    split: str = ""
    """Split to draw. Default: every video; those without a label are drawn grey. How well classes
    separate is measured where a split is named, `all` for every video, or there is none."""
    classes: int = 0
    """Draw so many classes, chosen by the seed. Default: all."""
    class_names: tuple[str, ...] = ()
    """Draw these classes."""
    method: Literal["tsne", "pca"] = "tsne"
    """How the map is made."""
    perplexity: float = 30.0
    """t-SNE: effective number of neighbours; a third of the videos where these are fewer."""
    seed: int = 0
    """Seed of the choice of classes and of t-SNE's random choices."""
    width: Literal["auto", "column", "page"] = "auto"
    """Width of the figure: one column (3.3 inches), both (6.9 inches), or by its panels."""
    partial: bool = False
    """Draw what feature sets that are not complete hold."""
    results: Path | None = None
    """Results folder whose page shall show the map, with a picture of each video."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code.

    Raises UsageError for a figure of another suffix, and for videos that make no map.
    """
    wanted = parse("tsne", TsneArguments, arguments)
    if wanted.out.suffix not in ("", ".png", ".svg", ".pdf"):
        told = f"--out is {wanted.out}; it must end in .png, .svg, .pdf or nothing"
        raise UsageError(told)
    if wanted.out.stem in ("", ".."):
        raise UsageError(f"--out is {wanted.out}, which names no file; give it a name, as out/tsne")

    # The store takes a while to import: only once the call is known to be right.
    from harness.results import made_folder
    from harness.results.csv_artefacts import Map
    from vifistore.store import open_store
    from vifistore.training.folder_lock import require_folder

    # A map may take long: what cannot be written is told before.
    require_folder(wanted.out.parent)
    store = open_store(wanted.store)
    if wanted.results is not None:
        made_folder(wanted.results)
    points, measured = _project(store, wanted)

    # matplotlib takes a second to import: only once the call is known to be right.
    from harness.results.csv_tables import write_table
    from reports.figures.scatter import scatter_panels

    path = wanted.out.parent / wanted.out.stem
    wanted.out.parent.mkdir(parents=True, exist_ok=True)
    # What is not measured has been said, and why.
    under = measured if len(measured) else None
    files = scatter_panels(points, path, under, width=wanted.width)
    files += [
        write_table(path.with_name(f"{path.name}.csv"), points),
        write_table(path.with_name(f"{path.name}_separation.csv"), measured),
    ]
    say("\n".join(str(file) for file in files))
    if wanted.results is not None:
        drawn = Map(name=wanted.method, points=points, separation=measured)
        _show_on_page(store, wanted.results, drawn)
    return 0


def _project(store: "Store", wanted: TsneArguments) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Coordinates, and how well classes separate."""
    from harness.projection.maps import Projection, project
    from harness.projection.panels import Choice, load_panels

    choice = Choice(
        split=wanted.split,
        num_classes=wanted.classes,
        classes=wanted.class_names,
        seed=wanted.seed,
        partial=wanted.partial,
    )
    settings = Projection(method=wanted.method, perplexity=wanted.perplexity, seed=wanted.seed)
    dataset = store.dataset(choose_dataset(store, wanted.dataset))
    panels = load_panels(choose_features(dataset, wanted.features), choice)
    measured = _measured(wanted, panels)
    return project(panels, settings), measured


def _measured(wanted: TsneArguments, panels: "Panels") -> "pd.DataFrame":
    """How well classes separate; nothing, and a line that says why, where that means little."""
    from harness.projection.separation import separation

    measured = separation(panels)
    if not wanted.split and (known := panels.dataset.splits()):
        say(
            "the videos of all splits are drawn, also those trained on, so how well classes "
            f"separate is left out; name one with --split ({first_few(known, 8, 30)}), or all"
        )
        return measured.head(0)
    num_unlabelled = int((~panels.is_labelled).sum())
    if not len(measured):
        say("fewer than two classes have labels here: how well they separate is left out")
    elif num_unlabelled:
        say(f"{num_unlabelled} videos have no label: drawn grey, left out of the measures")
    return measured


def _show_on_page(store: "Store", results: Path, drawn: "Map") -> None:
    from vifi.scoring.store_facts import record_command
    from vifi.searching.thumbnails_of_hits import write_thumbnails

    drawn.write(results)
    dataset = store.dataset(drawn.points["dataset"].iloc[0])
    write_thumbnails(dataset, results, drawn.points["row"].unique())
    record_command(results)
    draw = shell("vifi", "report", results)
    say(f"the map is in {results}; draw its page with: {draw}")
