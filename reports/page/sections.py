"""Sections of the page that are numbers and words, each a fragment of HTML; an empty one is left
out."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence

from harness.results import ResultRow
from harness.results.artefacts import Artefacts
from harness.results.origin import Origin, OriginCheckpoint, OriginRecipe
from harness.results.quarantine import Quarantined
from harness.results.run_facts import Summary, Timing
from reports.measurements import newest_names, set_of
from reports.table_model import Table
from reports.writers.html import escape, records_table, to_html

MAX_QUARANTINED = 500
_ORIGINS = ("recipe", "checkpoint", "manifest")


def summary_section(rows: Sequence[ResultRow], summary: Summary) -> str:
    """What there is, in numbers, and what the run says of itself."""
    lines = "".join(f"<p>{escape(line)}</p>" for line in summary.lines)
    if not rows:
        return lines
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
    return f'{lines}<dl class="tiles">{cells}</dl>'


def tables_section(tables: Sequence[Table]) -> str:
    """Tables one after the other, beside each other where they fit."""
    body = "".join(to_html(table) for table in tables)
    return f'<div class="tables">{body}</div>' if body else ""


def quarantine_section(rows: Sequence[ResultRow], videos: Sequence[Quarantined]) -> str:
    """Videos without features: how many by reason, then each."""
    if not (rows or videos):
        return ""
    count = sum(_largest_split(rows, "num_quarantined").values())
    if not videos:
        told = "<code>vifi info S</code> tells more." if count else ""
        return f"<p>{count:,} videos of the scored splits could not be decoded. {told}</p>"
    reasons = Counter(video.reason for video in videos)
    words = ", ".join(f"{escape(name)} ({number:,})" for name, number in reasons.most_common())
    table = records_table([video.as_dict() for video in videos[:MAX_QUARANTINED]])
    more = len(videos) - MAX_QUARANTINED
    rest = f"<p>{more:,} more are in artefacts/quarantine.json.</p>" if more > 0 else ""
    return f"<p>By reason: {words}.</p>{table}{rest}"


def throughput_section(artefacts: Artefacts) -> str:
    """Seconds per step and together, how fast steps with a count of videos were, and what a view
    costs."""
    parts = []
    if artefacts.timings:
        total = sum(step.seconds for step in artefacts.timings)
        table = records_table([*map(_with_speed, artefacts.timings)])
        parts.append(f"<p>{total:,.1f} seconds in all.</p>{table}")
    if artefacts.costs:
        parts.append(
            "<h3>Cost of a view</h3>" + records_table([cost.as_dict() for cost in artefacts.costs])
        )
    if artefacts.throughput:
        parts.append(
            "<h3>Extractions</h3>" + records_table([e.as_dict() for e in artefacts.throughput])
        )
    return "".join(parts)


def provenance_section(rows: Sequence[ResultRow], origin: Origin) -> str:
    """What the numbers were made from: feature sets, checkpoints, recipes, then the tools."""
    groups = defaultdict(list)
    for row in rows:
        groups[row.dataset, row.feature_set, row.scored_checkpoint].append(row)
    names = newest_names(rows)
    records = [_origin(group, names[set_of(group[-1])]) for group in groups.values()]
    facts = {
        "Machines": [str(row.provenance.get("machine", "")) for row in rows],
        "Versions": [_versions(row.provenance.get("versions")) for row in rows],
        "Store read with": [_versions(origin.versions)],
        "Measured": [str(row.provenance.get("time", ""))[:10] for row in rows],
    }
    lines = "".join(
        f"<p>{heading}: {escape('; '.join(filter(None, dict.fromkeys(values))))}.</p>"
        for heading, values in facts.items()
        if any(values)
    )
    origins = records_table(records) if records else ""
    return origins + _tree(origin.checkpoints) + _recipes(origin.recipes) + lines


def commands_section(rows: Sequence[ResultRow], further: Sequence[str]) -> str:
    """The commands that made the store and the results, each once, in their order; then those of
    rows that were brought from elsewhere."""
    made = [str(row.provenance.get("command", "")) for row in rows]
    commands = dict.fromkeys([*further, *made])
    items = "".join(f"<li><code>{escape(line)}</code></li>" for line in commands if line)
    return f'<ol class="commands">{items}</ol>' if items else ""


def _largest_split(rows: Sequence[ResultRow], field: str) -> Counter:
    """Per data set the largest count of any split: splits share videos."""
    counts: Counter = Counter()
    for row in rows:
        if "over" not in row.provenance:
            counts[row.dataset] = max(counts[row.dataset], getattr(row, field))
    return counts


def _tree(checkpoints: Sequence[OriginCheckpoint]) -> str:
    """Every checkpoint under the one it was trained from."""
    items = "".join(
        f'<li style="--depth: {c.depth}"><b>{escape(", ".join(c.names))}</b> '
        f"<code>{escape(c.digest)}</code>"
        + (f" <small>step {_step(c)}</small>" if c.step else "")
        + (f" <small>tuned on {escape(parts)}</small>" if (parts := ", ".join(c.tuned_on)) else "")
        + "</li>"
        for c in checkpoints
    )
    return f'<h3>Checkpoints</h3><ul class="tree">{items}</ul>' if items else ""


def _step(checkpoint: OriginCheckpoint) -> str:
    """The step in its own run, and the sum with its parents' where that is another."""
    own = checkpoint.step if checkpoint.run_step is None else checkpoint.run_step
    every = checkpoint.step
    return f"{own:,}" if own == every else f"{own:,} ({every:,} with its parents')"


def _recipes(recipes: Sequence[OriginRecipe]) -> str:
    items = "".join(
        f"<details><summary>{escape(', '.join(r.names or [r.id]))} "
        f"<code>{escape(r.id)}</code></summary><pre>"
        f"{escape(json.dumps(r.recipe, indent=1, ensure_ascii=False))}</pre></details>"
        for r in recipes
    )
    return f"<h3>Recipes</h3>{items}" if items else ""


def _with_speed(step: Timing) -> dict:
    videos = step.further.get("videos")
    if not isinstance(videos, int | float) or not step.seconds:
        return step.as_dict()
    return step.as_dict() | {"videos_per_second": videos / step.seconds}


def _origin(rows: Sequence[ResultRow], name: str) -> dict:
    """What rows of one feature set were made from, by the last of them."""
    return {
        "features": name,
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
