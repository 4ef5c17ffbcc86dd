"""Retrieval: queries with their hits as pictures, and what models look at."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from harness.results.gallery import AttentionFigure, GalleryHit, GalleryQuery
from harness.results.pictures import picture_path
from reports.writers.html import escape

_KINDS = {
    "text": "videos for words",
    "frames": "moments for words",
    "video": "videos like this one",
    "video-frames": "moments like this video",
    "image": "videos like a picture",
    "image-frames": "moments like a picture",
}
_VERDICTS = {True: ("right", "✓ right"), False: ("wrong", "✗ wrong"), None: ("open", "")}

_INTRODUCTION = (
    "<p>Queries and what they found, best first: when it is seen, and its cosine with the query. A "
    "hit is right if its label is the class that the query names, or the label of the video that "
    "was asked with.</p>"
)


def gallery_section(folder: Path, queries: Sequence[GalleryQuery]) -> str:
    """Every query with its hits, best first; the same query to another model follows it."""
    if not queries:
        return ""
    groups = defaultdict(list)
    for query in queries:
        groups[query.query, query.kind].append(query)
    shown = "".join(_query(folder, query) for group in groups.values() for query in group)
    return f"{_INTRODUCTION}{shown}"


def attention_section(folder: Path, figures: Sequence[AttentionFigure]) -> str:
    """Overlays and strips of each video; one whose picture is gone is left out."""
    blocks = []
    for figure in figures:
        parts = [
            _attention_picture(folder, figure, picture_path(folder, name), words)
            for name, words in ((figure.image, "over its frames"), (figure.strip, "over time"))
        ]
        blocks.append("".join(parts))
    if not any(blocks):
        return ""
    intro = (
        "<p>Attention of the class token over the patches of sampled frames, averaged over heads: "
        "of the last layer, and rolled out through all layers.</p>"
    )
    return f'{intro}<div class="plots">{"".join(blocks)}</div>'


def _query(folder: Path, query: GalleryQuery) -> str:
    known = [hit.is_right for hit in query.hits if hit.is_right is not None]
    facts = [_KINDS.get(query.kind, query.kind), query.dataset, query.features]
    facts += [f"{sum(known)} of {len(known)} right"] if known else []
    words = " · ".join(escape(fact) for fact in facts if fact)
    picture = _image(folder, query.thumbnail, query.query)
    items = "".join(_hit(folder, hit) for hit in query.hits)
    return (
        f'<article class="query"><h3>{picture}<q>{escape(query.query)}</q></h3>'
        f'<p class="note">{words}</p><ol class="hits">{items}</ol></article>\n'
    )


def _hit(folder: Path, hit: GalleryHit) -> str:
    kind, words = _VERDICTS[hit.is_right]
    picture = _image(folder, hit.thumbnail, hit.label or hit.id)
    verdict = f'<span class="verdict">{words}</span>' if words else ""
    return (
        f'<li class="{kind}">{picture or _NO_PICTURE}'
        f'<p class="name">{verdict} {escape(hit.label or "no label")}</p>'
        f'<p class="where" title="{escape(hit.id)}">{escape(hit.id)}</p>'
        f'<p class="where">{_moment(hit)}{hit.score:.3f}</p></li>'
    )


_NO_PICTURE = '<span class="no-picture">no picture</span>'


def _moment(hit: GalleryHit) -> str:
    if hit.start_seconds is None or hit.end_seconds is None:
        return ""
    return f"{hit.start_seconds:.1f}–{hit.end_seconds:.1f} s · "


def _image(folder: Path, name: str | None, words: str) -> str:
    path = picture_path(folder, name)
    if not path:
        return ""
    return f'<img loading="lazy" src="{escape(quote(path))}" alt="{escape(words)}">'


def _attention_picture(folder: Path, figure: AttentionFigure, path: str, words: str) -> str:
    if not path:
        return ""
    caption = escape(f"{figure.label or figure.id}, {words}")
    pdf = Path(path).with_suffix(".pdf")
    link = f' · <a href="{escape(quote(pdf.as_posix()))}">PDF</a>'
    return (
        f'<figure class="plot"><figcaption><p>{caption}</p></figcaption><div class="sheet">'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}">'
        f'<img loading="lazy" src="{escape(quote(path))}" alt="{caption}" class="attention"></div>'
        f'</div><p class="links"><a href="{escape(quote(path))}">PNG</a>'
        f"{link if (folder / pdf).is_file() else ''}</p></figure>"
    )
