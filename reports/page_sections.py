"""The sections of the page, each a fragment of HTML; an empty one is left out."""

import struct
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from harness.results import ResultRow
from reports.artefacts import Summary
from reports.measurements import row_name
from reports.table_model import Table
from reports.writers.html import escape, records_table, to_html

MAX_QUARANTINED = 500
FIGURE_FOLDERS = (".", "figures", "attention")
CAPTIONS = {
    "tsne": "t-SNE of video embeddings, one panel per feature set. Distances between clusters mean "
    "nothing; the numbers under a panel are taken in the full space.",
    "pca": "The two directions of largest variance of the video embeddings.",
    "fusion-heatmap": "Top-1 by the fusion a model was trained with and scored with.",
    "few-shot-curve": "Top-1 against training videos per class, with 95% intervals.",
    "frames-curve": "Top-1 against frames per view, with 95% intervals.",
    "class-frequencies": "Videos per class, and the cut between base and novel classes.",
}
# Figures are drawn at 250 dots an inch; on a screen 7-point letters want 12 pixels.
_SCREEN_SCALE = 0.52
_NARROW_SCALE = 0.72
_PNG_HEAD = 24
_ORIGINS = ("recipe", "checkpoint", "manifest")


def summary_section(rows: Sequence[ResultRow], summary: Summary) -> str:
    """What there is, in numbers, and what the run says of itself."""
    tiles = {
        "result rows": len(rows),
        "data sets": len({row.dataset for row in rows}),
        "feature sets": len({(row.feature_set, row.scored_checkpoint) for row in rows}),
        "videos scored": sum(_largest_split(rows, "num_videos").values()),
        "quarantined": sum(_largest_split(rows, "num_quarantined").values()),
    }
    cells = "".join(
        f"<div><dt>{name}</dt><dd>{count:,}</dd></div>" for name, count in tiles.items()
    )
    lines = "".join(f"<p>{escape(line)}</p>" for line in summary.lines)
    return f'{lines}<dl class="tiles">{cells}</dl>'


def tables_section(tables: Sequence[Table]) -> str:
    """Tables one after the other."""
    return "".join(to_html(table) for table in tables)


def figures_section(folder: Path) -> str:
    """Every PNG of the folder, with links to the same figure in other formats."""
    paths = [path for name in FIGURE_FOLDERS for path in sorted((folder / name).glob("*.png"))]
    known = list(CAPTIONS)
    paths.sort(key=lambda path: known.index(path.stem) if path.stem in known else len(known))
    figures = "".join(_figure(folder, path) for path in paths if path.is_file())
    return f'<div class="plots">{figures}</div>' if figures else ""


def quarantine_section(rows: Sequence[ResultRow], records: Sequence[dict]) -> str:
    """Videos without features: how many by reason, then each."""
    count = sum(_largest_split(rows, "num_quarantined").values())
    if not records:
        told = "<code>vifi info S</code> tells more." if count else ""
        return f"<p>{count:,} videos of the scored splits could not be decoded. {told}</p>"
    reasons = Counter(str(record["reason"]) for record in records)
    words = ", ".join(f"{escape(name)} ({number:,})" for name, number in reasons.most_common())
    more = len(records) - MAX_QUARANTINED
    rest = f"<p>{more:,} more are in artefacts/quarantine.json.</p>" if more > 0 else ""
    return f"<p>By reason: {words}.</p>{records_table(records[:MAX_QUARANTINED])}{rest}"


def timings_section(records: Sequence[dict]) -> str:
    """Seconds per step and together; a step that counts its videos also says how fast it was."""
    if not records:
        return ""
    total = sum(record["seconds"] for record in records)
    return f"<p>{total:,.1f} seconds in all.</p>{records_table([*map(_with_speed, records)])}"


def provenance_section(rows: Sequence[ResultRow]) -> str:
    """What the numbers were made from: one line per feature set and checkpoint, then the tools."""
    groups = defaultdict(list)
    for row in rows:
        groups[row.dataset, row.feature_set, row.scored_checkpoint].append(row)
    records = [_origin(group) for group in groups.values()]
    facts = {
        "Machines": [str(row.provenance.get("machine", "")) for row in rows],
        "Versions": [_versions(row.provenance.get("versions")) for row in rows],
        "Measured": [str(row.provenance.get("time", ""))[:10] for row in rows],
    }
    lines = "".join(
        f"<p>{heading}: {escape('; '.join(filter(None, dict.fromkeys(values))))}.</p>"
        for heading, values in facts.items()
        if any(values)
    )
    return records_table(records) + lines


def commands_section(rows: Sequence[ResultRow]) -> str:
    """The commands that made the rows, each once, in their order."""
    commands = dict.fromkeys(str(row.provenance.get("command", "")) for row in rows)
    items = "".join(f"<li><code>{escape(line)}</code></li>" for line in commands if line)
    return f'<ol class="commands">{items}</ol>' if items else ""


def _largest_split(rows: Sequence[ResultRow], field: str) -> Counter:
    """Per data set the largest count of any split: splits share videos."""
    counts: Counter = Counter()
    for row in rows:
        if "over" not in row.provenance:
            counts[row.dataset] = max(counts[row.dataset], getattr(row, field))
    return counts


def _figure(folder: Path, path: Path) -> str:
    others = [path.with_suffix(suffix) for suffix in (".svg", ".pdf")]
    others = [other for other in others if other.is_file()]
    caption = escape(CAPTIONS.get(path.stem, path.stem.replace("-", " ").replace("_", " ")))
    links = " · ".join(
        f'<a href="{_link(folder, file)}">{file.suffix[1:].upper()}</a>' for file in (path, *others)
    )
    is_drawn = any(other.suffix == ".svg" for other in others)
    source = others[0] if is_drawn else path
    style = _width_style(path) if is_drawn else "max-width: 100%"
    return (
        f'<figure class="plot"><figcaption><p>{caption}</p></figcaption>'
        f'<div class="sheet"><div class="scroll" tabindex="0" role="region" aria-label="{caption}">'
        f'<img src="{_link(folder, source)}" alt="{caption}" style="{style}"></div></div>'
        f'<p class="links">{links}</p></figure>\n'
    )


def _width_style(path: Path) -> str:
    """A figure fills its place, but on a narrow screen scrolls rather than shrinks too far."""
    head = path.read_bytes()[:_PNG_HEAD]
    width = struct.unpack(">I", head[16:20])[0] * _SCREEN_SCALE if len(head) == _PNG_HEAD else 600
    return f"width: {width:.0f}px; max-width: 100%; min-width: {width * _NARROW_SCALE:.0f}px"


def _link(folder: Path, path: Path) -> str:
    return escape(quote(path.relative_to(folder).as_posix()))


def _with_speed(record: dict) -> dict:
    videos = record.get("videos")
    if not isinstance(videos, int | float) or not record["seconds"]:
        return record
    return record | {"videos_per_second": videos / record["seconds"]}


def _origin(rows: Sequence[ResultRow]) -> dict:
    """What rows of one feature set were made from, by the last of them."""
    return {
        "features": row_name(rows[-1]),
        "dataset": rows[-1].dataset,
        "splits": ", ".join(dict.fromkeys(row.split for row in rows)),
        **{name: _short(rows[-1].provenance.get(name)) for name in _ORIGINS},
    }


def _versions(versions: object) -> str:
    if not isinstance(versions, dict):
        return ""
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _short(value: object) -> object:
    """Digests by their first 12 digits, as the store shows them."""
    is_digest = isinstance(value, str) and len(value) == 64 and value.isalnum()
    return value[:12] if is_digest else value
