import csv
import io

from reports.writers.csv_text import FIELDS, to_csv


def test_one_line_per_cell_reads_back(small_table, nasty):
    records = list(csv.DictReader(io.StringIO(to_csv(small_table))))
    assert tuple(records[0]) == FIELDS
    assert len(records) == 4
    printed, ours, missing, frames = records
    assert (printed["value"], printed["text"], printed["notes"]) == ("51.3", "51.3 ± 0.6", "doubt")
    assert (ours["value"], ours["ci_low"], ours["std"]) == ("51.04", "48.2", "0.61")
    assert (ours["row"], ours["detail"], ours["features"]) == ("model", nasty, nasty)
    assert missing["command"].startswith("vifi evaluate")
    assert missing["value"] == ""
    assert (frames["column"], frames["value"]) == ("Frames", "32.0")
