import pandas as pd

from harness.results.csv_artefacts import ClassTables
from reports.page.sections import classes


def test_pairs_with_their_share_and_every_class(page):
    assert '<td class="number">7</td>\n<td class="number">10</td>\n<td>70%</td>' in page
    assert page.index("a square") < page.index("<td>y</td>")
    assert "Recall of 2 classes: shapes" in page
    assert '<td style="--share: 0.300">30.0<small>[10.0, 50.0]</small></td>' in page
    assert "<td>undefined</td>" in page


def test_draws_are_told_apart_and_stand_in_order():
    columns = ("dataset", "features", "fusion", "protocol", "split", "shots", "seed")
    lines = [("ucf", "full", "embedding", "few-shot", "test", 4.0, float(s)) for s in (3, 1, 2)]
    table = pd.DataFrame(lines, columns=columns)
    table = table.assign(true="a", predicted="b", count=[9, 5, 7], num_videos=10)
    empty = pd.DataFrame({"fusion": []})
    found = classes(ClassTables(per_class=empty, confusion=table))["pairs"]
    assert list(found) == [
        f"full on ucf, few-shot, test, 4 shots, seed {seed}, embedding" for seed in (1, 2, 3)
    ]
    assert [pairs[0]["videos"] for pairs in found.values()] == [5, 7, 9]
