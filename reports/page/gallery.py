"""Retrieval: queries with their hits as pictures, and what models look at."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from harness.results.json_artefacts import AttentionFigure, GalleryQuery
from harness.results.pictures import picture_path


def gallery(queries: Sequence[GalleryQuery]) -> list[GalleryQuery]:
    """Every query, that to another model after the same query to the first."""
    groups = defaultdict(list)
    for query in queries:
        groups[query.query, query.kind].append(query)
    return [query for group in groups.values() for query in group]


def attention_figures(folder: Path, figures: Sequence[AttentionFigure]) -> list[dict]:
    """Overlays and strips of each video; one whose picture is gone is left out."""
    return [
        {"caption": f"{figure.label or figure.id}, {words}", "still": _still(folder, path)}
        for figure in figures
        for name, words in ((figure.image, "over its frames"), (figure.strip, "over time"))
        if (path := picture_path(folder, name))
    ]


def _still(folder: Path, path: str) -> dict:
    """A picture with links to its formats; its width is the style sheet's."""
    pdf = Path(path).with_suffix(".pdf")
    links = {"PNG": quote(path)}
    if (folder / pdf).is_file():
        links["PDF"] = quote(pdf.as_posix())
    return {"source": quote(path), "style": "", "links": links}
