"""Which classes are hard: recall of each class per feature set, and the pairs taken for another."""

from collections import defaultdict
from collections.abc import Sequence

from harness.results.class_results import ClassTables
from harness.results.csv_tables import table_records
from reports.table_model import format_number
from reports.writers.html import escape, records_table

MAX_PAIRS = 20
_FUSION = "embedding"


def classes_section(tables: ClassTables) -> str:
    """Pairs of classes by feature set, most frequent first, then every class."""
    return "".join(
        [*_pairs(table_records(tables.confusion)), *_recalls(table_records(tables.per_class))]
    )


def _pairs(records: Sequence[dict]) -> list[str]:
    groups = defaultdict(list)
    for record in records:
        if record["count"]:
            groups[_group(record)].append(record)
    if not groups:
        return []
    parts = ["<p>Which class was taken for which other, most frequent pairs first.</p>"]
    for number, (group, found) in enumerate(groups.items()):
        found.sort(key=lambda record: -record["count"])
        shown = [
            {
                "true": record["true"],
                "predicted": record["predicted"],
                "videos": int(record["count"]),
                "of": int(record["num_videos"]),
                "share": f"{100 * record['count'] / max(1, record['num_videos']):.0f}%",
            }
            for record in found[:MAX_PAIRS]
        ]
        is_open = " open" if number == 0 else ""
        parts.append(
            f"<details{is_open}><summary>{escape(group)}</summary>{records_table(shown)}</details>"
        )
    return parts


def _recalls(records: Sequence[dict]) -> list[str]:
    """A table of classes (rows) by feature sets (columns) per data set, hardest class first."""
    parts = []
    tables = defaultdict(lambda: defaultdict(dict))
    for record in records:
        if record["fusion"] == _FUSION:
            place = f"{record['dataset']}, {_setting(record)}"
            tables[place][record["class"]][record["features"]] = record
    for place, classes in tables.items():
        names = list(dict.fromkeys(name for found in classes.values() for name in found))
        ordered = sorted(classes.items(), key=lambda item: _mean(item[1]))
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
        body = "".join(
            f'<tr><th scope="row">{escape(name)}</th>'
            + "".join(_recall(found.get(column)) for column in names)
            + "</tr>"
            for name, found in ordered
        )
        parts.append(
            f"<details><summary>Recall of {len(classes)} classes: {escape(place)}</summary>"
            '<div class="scroll" tabindex="0" role="region" aria-label="recall by class">'
            f'<table class="grid recall"><thead><tr><th class="corner" scope="col">Class</th>{head}'
            f"</tr></thead><tbody>{body}</tbody></table></div></details>"
        )
    return parts


def _recall(record: dict | None) -> str:
    if record is None:
        return "<td></td>"
    value, *ends = (record.get(name) for name in ("value", "ci_low", "ci_high"))
    if value is None:
        return "<td>undefined</td>"
    words = "" if None in ends else ", ".join(format_number(100 * end) for end in ends)
    small = f"<small>[{words}]</small>" if words else ""
    return f'<td style="--share: {value:.3f}">{format_number(100 * value)}{small}</td>'


def _mean(found: dict[str, dict]) -> float:
    values = [record["value"] for record in found.values() if record["value"] is not None]
    return sum(values) / len(values) if values else 0.0


def _group(record: dict) -> str:
    return f"{record['features']} on {record['dataset']}, {_setting(record)}, {record['fusion']}"


def _setting(record: dict) -> str:
    parts = [record.get(name) for name in ("protocol", "split", "subset", "classifier", "shots")]
    return ", ".join(str(part) for part in parts if part not in (None, "", "all", "text"))
