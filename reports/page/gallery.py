"""Retrieval: queries with their hits as pictures, and what models look at."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from reports.page.extras import picture_path
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


def gallery_section(folder: Path, queries: Sequence[dict]) -> str:
    """Every query with its hits, best first; the same query to another model follows it."""
    if not queries:
        return ""
    groups = defaultdict(list)
    for query in queries:
        groups[query["query"], query.get("kind")].append(query)
    shown = "".join(_query(folder, query) for group in groups.values() for query in group)
    return f"{_INTRODUCTION}{shown}"


def attention_section(folder: Path, figures: Sequence[dict]) -> str:
    """Overlays and strips of each video; one whose picture is gone is left out."""
    blocks = []
    for figure in figures:
        parts = [
            _attention_picture(folder, figure, picture_path(folder, figure.get(key)), words)
            for key, words in (("image", "over its frames"), ("strip", "over time"))
        ]
        blocks.append("".join(parts))
    if not any(blocks):
        return ""
    intro = (
        "<p>Attention of the class token over the patches of sampled frames, averaged over heads: "
        "of the last layer, and rolled out through all layers.</p>"
    )
    return f'{intro}<div class="plots">{"".join(blocks)}</div>'


def _query(folder: Path, query: dict) -> str:
    hits = query["hits"]
    known = [hit["is_right"] for hit in hits if isinstance(hit.get("is_right"), bool)]
    kind = query.get("kind") or "text"
    facts = [_KINDS.get(kind, kind), query.get("dataset"), query.get("features")]
    facts += [f"{sum(known)} of {len(known)} right"] if known else []
    words = " · ".join(escape(fact) for fact in facts if fact)
    picture = _image(folder, query.get("thumbnail"), str(query["query"]))
    items = "".join(_hit(folder, hit) for hit in hits)
    return (
        f'<article class="query"><h3>{picture}<q>{escape(query["query"])}</q></h3>'
        f'<p class="note">{words}</p><ol class="hits">{items}</ol></article>\n'
    )


def _hit(folder: Path, hit: dict) -> str:
    is_right = hit.get("is_right")
    kind, words = _VERDICTS[is_right if isinstance(is_right, bool) else None]
    picture = _image(folder, hit.get("thumbnail"), hit["label"] or hit["id"])
    verdict = f'<span class="verdict">{words}</span>' if words else ""
    return (
        f'<li class="{kind}">{picture or _NO_PICTURE}'
        f'<p class="name">{verdict} {escape(hit["label"] or "no label")}</p>'
        f'<p class="where" title="{escape(hit["id"])}">{escape(hit["id"])}</p>'
        f'<p class="where">{_moment(hit)}{hit["score"]:.3f}</p></li>'
    )


_NO_PICTURE = '<span class="no-picture">no picture</span>'


def _moment(hit: dict) -> str:
    ends = [hit.get("start_seconds"), hit.get("end_seconds")]
    if not all(isinstance(end, int | float) for end in ends):
        return ""
    return f"{ends[0]:.1f}–{ends[1]:.1f} s · "


def _image(folder: Path, name: object, words: str) -> str:
    path = picture_path(folder, name)
    if not path:
        return ""
    return f'<img loading="lazy" src="{escape(quote(path))}" alt="{escape(words)}">'


def _attention_picture(folder: Path, figure: dict, path: str, words: str) -> str:
    if not path:
        return ""
    caption = escape(f"{figure.get('label') or figure['id']}, {words}")
    pdf = Path(path).with_suffix(".pdf")
    link = f' · <a href="{escape(quote(pdf.as_posix()))}">PDF</a>'
    return (
        f'<figure class="plot"><figcaption><p>{caption}</p></figcaption><div class="sheet">'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}">'
        f'<img loading="lazy" src="{escape(quote(path))}" alt="{caption}" class="attention"></div>'
        f'</div><p class="links"><a href="{escape(quote(path))}">PNG</a>'
        f"{link if (folder / pdf).is_file() else ''}</p></figure>"
    )
