"""Sections of the page that are numbers and words: what their templates show; empty for none."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from harness.results import ResultRow
from harness.results.artefacts import Artefacts
from harness.results.csv_artefacts import ClassTables
from harness.results.csv_tables import table_records
from harness.results.json_artefacts import GalleryQuery, Origin, Quarantined, Summary, Timing
from harness.results.run_histories import RunHistory
from reports.figures.training_curves import MAX_RUNS
from reports.measurements import newest_names, set_of

MAX_QUARANTINED = 500
MAX_PAIRS = 20
_RECALL_FUSION = "embedding"
_ORIGINS = ("recipe", "checkpoint", "manifest")
_SETTING = ("protocol", "split", "subset", "classifier")


def summary(rows: Sequence[ResultRow], words: Summary) -> dict:
    """What there is, in numbers, and what the run says of itself."""
    tiles = {
        "result rows": len(rows),
        "data sets": len({row.dataset for row in rows}),
        "feature sets": len({(row.feature_set, row.scored_checkpoint) for row in rows}),
        "videos scored": sum(_largest_split(rows, "num_videos").values()),
        "quarantined": sum(_largest_split(rows, "num_quarantined").values()),
    }
    shown = tiles if rows else {}
    return {"lines": words.lines, "tiles": shown} if words.lines or shown else {}


def gallery(queries: Sequence[GalleryQuery]) -> list[GalleryQuery]:
    """Every query, that to another model after the same query to the first."""
    groups = defaultdict(list)
    for query in queries:
        groups[query.query, query.kind].append(query)
    return [query for group in groups.values() for query in group]


def quarantine(rows: Sequence[ResultRow], videos: Sequence[Quarantined]) -> dict:
    """Videos without features: how many by reason, then each."""
    if not (rows or videos):
        return {}
    reasons = Counter(video.reason for video in videos)
    return {
        "count": sum(_largest_split(rows, "num_quarantined").values()),
        "reasons": [f"{name} ({number:,})" for name, number in reasons.most_common()],
        "records": [video.as_dict() for video in videos[:MAX_QUARANTINED]],
        "more": max(0, len(videos) - MAX_QUARANTINED),
    }


def classes(tables: ClassTables) -> dict:
    """Which classes are hard: `pairs` taken for another by feature set, most frequent first, and
    `recalls` of every class; empty where there are none."""
    pairs, recalls = _pairs(tables), _recalls(tables)
    return {"pairs": pairs, "recalls": recalls} if pairs or recalls else {}


def training_runs(runs: Sequence[RunHistory], figures: Sequence[Mapping]) -> dict:
    """Figures of trainings, and a line on each; empty without any."""
    records = [
        {
            "run": run.name,
            "steps": run.num_steps,
            "minutes": None if run.seconds is None else run.seconds / 60,
            "last loss": run.points[-1].loss if run.points else None,
            "checkpoints scored": len(run.scores) or None,
            "best top-1": _best(run),
        }
        for run in runs
    ]
    shown = {"figures": figures, "records": records, "drawn": min(len(runs), MAX_RUNS)}
    return shown if records else {}


def _best(run: RunHistory) -> str:
    """The best checkpoint by each split, and where it stands."""
    places = dict.fromkeys((score.dataset, score.split) for score in run.scores)
    words = []
    for place in places:
        own = [s for s in run.scores if (s.dataset, s.split) == place]
        best = max(own, key=lambda score: score.value)
        words.append(f"{100 * best.value:.1f} at step {best.step:,} ({'/'.join(place)})")
    return "; ".join(words)


def throughput(artefacts: Artefacts) -> dict:
    """Seconds per step and together, how fast steps with a count of videos were, what a view costs,
    and how fast extractions were."""
    tables = {
        "steps": [_with_speed(step) for step in artefacts.timings],
        "costs": [cost.as_dict() for cost in artefacts.costs],
        "extractions": [run.as_dict() for run in artefacts.throughput],
    }
    seconds = sum(step.seconds for step in artefacts.timings)
    return {**tables, "seconds": f"{seconds:,.1f}"} if any(tables.values()) else {}


def provenance(rows: Sequence[ResultRow], origin: Origin) -> dict:
    """What the numbers were made from: feature sets, checkpoints, recipes, then the tools."""
    groups = defaultdict(list)
    for row in rows:
        groups[row.dataset, row.feature_set, row.scored_checkpoint].append(row)
    names = newest_names(rows)
    facts = {
        "Machines": [str(row.provenance.get("machine", "")) for row in rows],
        "Versions": [_versions(row.provenance.get("versions")) for row in rows],
        "Store read with": [_versions(origin.versions)],
        "Measured": [str(row.provenance.get("time", ""))[:10] for row in rows],
    }
    known = {heading: [*filter(None, dict.fromkeys(facts[heading]))] for heading in facts}
    origins = {
        "sets": [_origin(group, names[set_of(group[-1])]) for group in groups.values()],
        "checkpoints": origin.checkpoints,
        "recipes": origin.recipes,
        "facts": {heading: values for heading, values in known.items() if values},
    }
    return origins if any(origins.values()) else {}


def commands(rows: Sequence[ResultRow], further: Sequence[str]) -> list[str]:
    """The commands that made the store and the results, each once, in their order; then those of
    rows that were brought from elsewhere."""
    made = [str(row.provenance.get("command", "")) for row in rows]
    return [*filter(None, dict.fromkeys([*further, *made]))]


def _largest_split(rows: Sequence[ResultRow], field: str) -> Counter:
    """Per data set the largest count of any split: splits share videos."""
    counts: Counter = Counter()
    for row in rows:
        if "over" not in row.provenance:
            counts[row.dataset] = max(counts[row.dataset], getattr(row, field))
    return counts


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
    if isinstance(value, str) and len(value) == 64 and value.isalnum():
        return value[:12]
    return value


def _pairs(tables: ClassTables) -> dict[str, list[dict]]:
    groups = defaultdict(list)
    for record in table_records(tables.confusion):
        scored = f"{record['features']} on {record['dataset']}, {_setting(record)}"
        heading = f"{scored}, {record['fusion']}"
        if record["count"] > 0 and len(groups[heading]) < MAX_PAIRS:
            groups[heading].append(_pair(record))
    return dict(sorted(groups.items()))


def _pair(record: Mapping) -> dict:
    return {
        "true": record["true"],
        "predicted": record["predicted"],
        "videos": int(record["count"]),
        "of": int(record["num_videos"]),
        "share": f"{100 * record['count'] / max(1, record['num_videos']):.0f}%",
    }


def _recalls(tables: ClassTables) -> list[dict]:
    """A table of classes (rows) by feature sets (columns) per data set, hardest class first."""
    places = defaultdict(lambda: defaultdict(dict))
    for record in table_records(tables.per_class):
        if record["fusion"] == _RECALL_FUSION:
            place = f"{record['dataset']}, {_setting(record)}"
            places[place][record["class"]][record["features"]] = record
    return [_recall_table(place, classes) for place, classes in places.items()]


def _recall_table(place: str, classes: Mapping[str, Mapping[str, dict]]) -> dict:
    names = list(dict.fromkeys(name for records in classes.values() for name in records))
    ordered = sorted(classes.items(), key=lambda item: _mean(item[1]))
    rows = [(name, [records.get(column) for column in names]) for name, records in ordered]
    return {"place": place, "columns": names, "rows": rows}


def _mean(records: Mapping[str, dict]) -> float:
    values = [record["value"] for record in records.values() if record["value"] is not None]
    return sum(values) / len(values) if values else 0.0


def _setting(record: Mapping) -> str:
    """What was scored, in a few words; a whole number that a table holds as 4.0 is 4."""
    parts = [str(record.get(name)) for name in _SETTING if _is_told(record.get(name))]
    for name in ("shots", "seed"):
        if _is_told(number := record.get(name)) and isinstance(number, int | float):
            parts.append(f"{number:g} shots" if name == "shots" else f"seed {number:g}")
    return ", ".join(parts)


def _is_told(value: object) -> bool:
    return value not in (None, "", "all", "text")
