"""Which classes are hard: recall of each class per feature set, and the pairs taken for another."""

from collections import defaultdict
from collections.abc import Mapping

from harness.results.csv_artefacts import ClassTables
from harness.results.csv_tables import table_records

MAX_PAIRS = 20
_FUSION = "embedding"
_SETTING = ("protocol", "split", "subset", "classifier", "shots")


def class_tables(tables: ClassTables) -> dict:
    """`pairs` of classes by feature set, most frequent first, and `recalls` of every class; empty
    where there are none."""
    pairs, recalls = _pairs(tables), _recalls(tables)
    return {"pairs": pairs, "recalls": recalls} if pairs or recalls else {}


def _pairs(tables: ClassTables) -> dict[str, list[dict]]:
    groups = defaultdict(list)
    for record in table_records(tables.confusion[tables.confusion["count"] > 0]):
        place = f"{record['features']} on {record['dataset']}, {_setting(record)}"
        found = groups[f"{place}, {record['fusion']}"]
        if len(found) < MAX_PAIRS:
            found.append(_pair(record))
    return groups


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
        if record["fusion"] == _FUSION:
            place = f"{record['dataset']}, {_setting(record)}"
            places[place][record["class"]][record["features"]] = record
    return [_recall_table(place, classes) for place, classes in places.items()]


def _recall_table(place: str, classes: Mapping[str, Mapping[str, dict]]) -> dict:
    names = list(dict.fromkeys(name for found in classes.values() for name in found))
    ordered = sorted(classes.items(), key=lambda item: _mean(item[1]))
    rows = [(name, [found.get(column) for column in names]) for name, found in ordered]
    return {"place": place, "columns": names, "rows": rows}


def _mean(found: Mapping[str, dict]) -> float:
    values = [record["value"] for record in found.values() if record["value"] is not None]
    return sum(values) / len(values) if values else 0.0


def _setting(record: Mapping) -> str:
    parts = [record.get(name) for name in _SETTING]
    return ", ".join(str(part) for part in parts if part not in (None, "", "all", "text"))
