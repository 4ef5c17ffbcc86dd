"""Retrieval: queries with their hits as pictures, and what models look at."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from harness.results.gallery import AttentionFigure, GalleryHit, GalleryQuery
from harness.results.pictures import picture_path

_KINDS = {
    "text": "videos for words",
    "frames": "moments for words",
    "video": "videos like this one",
    "video-frames": "moments like this video",
    "image": "videos like a picture",
    "image-frames": "moments like a picture",
}
_VERDICTS = {True: ("right", "✓ right"), False: ("wrong", "✗ wrong"), None: ("open", "")}


def gallery(folder: Path, queries: Sequence[GalleryQuery]) -> list[dict]:
    """Every query with its hits, best first; the same query to another model follows it."""
    groups = defaultdict(list)
    for query in queries:
        groups[query.query, query.kind].append(query)
    return [_query(folder, query) for group in groups.values() for query in group]


def attention_figures(folder: Path, figures: Sequence[AttentionFigure]) -> list[dict]:
    """Overlays and strips of each video; one whose picture is gone is left out."""
    return [
        {"caption": f"{figure.label or figure.id}, {words}", "still": _still(folder, path)}
        for figure in figures
        for name, words in ((figure.image, "over its frames"), (figure.strip, "over time"))
        if (path := picture_path(folder, name))
    ]


def _query(folder: Path, query: GalleryQuery) -> dict:
    known = [hit.is_right for hit in query.hits if hit.is_right is not None]
    facts = [_KINDS.get(query.kind, query.kind), query.dataset, query.features]
    facts += [f"{sum(known)} of {len(known)} right"] if known else []
    return {
        "words": query.query,
        "picture": _address(folder, query.thumbnail),
        "facts": [fact for fact in facts if fact],
        "hits": [_hit(folder, hit) for hit in query.hits],
    }


def _hit(folder: Path, hit: GalleryHit) -> dict:
    kind, verdict = _VERDICTS[hit.is_right]
    return {
        "kind": kind,
        "verdict": verdict,
        "picture": _address(folder, hit.thumbnail),
        "name": hit.label or hit.id,
        "label": hit.label or "no label",
        "id": hit.id,
        "moment": _moment(hit),
        "score": f"{hit.score:.3f}",
    }


def _moment(hit: GalleryHit) -> str:
    if hit.start_seconds is None or hit.end_seconds is None:
        return ""
    return f"{hit.start_seconds:.1f}–{hit.end_seconds:.1f} s · "


def _address(folder: Path, name: str | None) -> str:
    """What a page links a picture by; empty where it is not there."""
    return quote(picture_path(folder, name))


def _still(folder: Path, path: str) -> dict:
    """A picture with links to its formats; its width is the style sheet's."""
    pdf = Path(path).with_suffix(".pdf")
    links = {"PNG": quote(path)}
    if (folder / pdf).is_file():
        links["PDF"] = quote(pdf.as_posix())
    return {"source": quote(path), "style": "", "links": links}
