"""The paper's tables beside made-up results, and how their cells are found."""

import pytest

from harness.results.json_artefacts import Cost
from reports.layouts.paper_tables import paper_tables
from reports.table_model import Table


def cell_of(table: Table, label: str, column: str, origin: str = "here"):
    titles = [c.title for c in table.columns]
    (row,) = [r for r in table.rows if (r.label, r.origin) == (label, origin)]
    return row.cells[titles.index(column)]


@pytest.fixture
def tables(paper_like):
    cost = {"features": "vifi-clip", "gflops": 281, "throughput": 60.5, "params_millions": 124.3}
    cost |= {"model": "ViT-B-16-quickgelu", "frames": 16, "device": "a card"}
    costs = [Cost.from_dict(cost)]
    return {table.name: table for table in paper_tables(paper_like, costs)}
