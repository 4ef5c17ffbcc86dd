import pytest

pytest.importorskip("obstore", reason="obstore is not installed")
pytest.importorskip("moto.server", reason="moto[server] is not installed")

from benchmarks import bucket_requests
from vifistore.store.schema import FEATURE_ARRAYS


def test_rows_say_what_a_block_costs_in_requests():
    rows = list(bucket_requests.run(bucket_requests.Requests(blocks=(1, 3))))
    found = {row["what"]: row for row in rows}
    arrays = len(FEATURE_ARRAYS)
    assert found["write"]["put_a_block"] >= arrays
    # Its chunks, and its claim: once whether it is one, once to hold it against them.
    assert found["verify"]["get_a_block"] == arrays + 2
    # Each claim, listed and read; the chunks of status are listed, and those that are equal read
    # once.
    assert found["seal"]["requests_a_block"] == 1
    assert found["info, not sealed"]["requests_a_block"] == 0
    assert found["read frames"]["requests_a_block"] == 1
    assert all(row["requests_once"] >= 0 for row in rows)
