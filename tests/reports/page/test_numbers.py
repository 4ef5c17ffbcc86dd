import re

from harness.results import append_rows
from reports.measurements import measurements
from reports.page.numbers import numbers
from reports.report import all_tables, make_report
from tests.reports.conftest import PROVENANCE


def test_every_number_of_a_table_leads_to_its_row_and_the_row_to_its_command(row, tmp_path):
    other = PROVENANCE | {"command": "vifi ablate S"}
    append_rows(tmp_path, [row(), row("full", protocol="supervised", provenance=other)])
    page = make_report(tmp_path)[-1].read_text()
    links = re.findall(r'<a href="#(row-[0-9a-f]{12})">', page)
    assert len(links) == 2
    assert set(links) == set(re.findall(r'<tr id="(row-[0-9a-f]{12})">', page))
    commands = re.findall(r'<a href="#command-(\d)">', page)
    assert commands == ["1", "2"]
    assert re.findall(r'<li id="command-2"><code>(.*?)</code>', page) == ["vifi ablate S"]
    # A file that opens alone has no rows to lead to.
    assert "#row-" not in (tmp_path / "zero-shot.html").read_text()


def test_numbers_that_stand_elsewhere_than_they_were_asked_lead_to_their_rows(row):
    model = {"provenance": PROVENANCE | {"model": "ViT-B-16"}}
    few = {"split": "val1", "dataset": "hmdb51", "classes": 51, **model}
    lever = {"lever": "ensemble-logit", "split": "val1", "dataset": "hmdb51", "protocol": "tuned"}
    rows = [row("vanilla-clip", **few), row("vifi-clip-k2", protocol="few-shot", shots=2, **few)]
    rows.append(row("vanilla-clip", tuned_on="hmdb51/train", **lever))
    found = measurements(rows)
    tables = {table.name: table for table in all_tables(found)}
    written = {row.number_name for row in rows}
    for name in ("table3", "levers"):
        assert {cell.number for cell in tables[name].cells if cell.number} <= written
    told = numbers(tables.values(), found, [])
    assert {entry["name"] for entry in told["entries"]} == written
    assert "lever" in told["headings"]


def test_a_mean_leads_to_what_it_is_a_mean_of(row):
    shared = {"dataset": "HMDB-51", "ci_low": None, "ci_high": None}
    rows = [row(value=v, dataset="HMDB-51", split=s) for s, v in (("val1", 0.5), ("val2", 0.6))]
    mean = {"provenance": PROVENANCE | {"over": "splits"}, "split": "val1+val2", **shared}
    rows += [row(value=0.55, **mean), row(value=0.05, metric="top1_std", **mean)]
    found = measurements(rows)
    told = numbers(all_tables(found), found, [PROVENANCE["command"]])
    assert [entry["value"] for entry in told["entries"]] == [
        "55.00 ± 5.00",
        "50.00 [47.00, 53.00]",
        "60.00 [57.00, 63.00]",
    ]
    assert [part["of"] for part in told["entries"][0]["parts"]] == ["val1", "val2"]
    assert [part["name"] for part in told["entries"][0]["parts"]] == [
        entry["name"] for entry in told["entries"][1:]
    ]
    assert {entry["command"] for entry in told["entries"]} == {1}


def test_what_all_rows_share_is_no_column(row):
    found = measurements([row("a"), row("b", shots=4, protocol="few-shot")])
    told = numbers(all_tables(found), found, [])
    assert told["headings"] == ["features", "protocol", "shots", "metric", "value", "videos"]
    assert told["entries"][0]["command"] == 0
    assert numbers([], found, []) == {}
