import pytest

from benchmarks import scaling


@pytest.mark.parametrize(
    ("where", "by"),
    [
        ("folder", "processes"),
        ("bucket", "processes"),
    ],
)
def test_rows_say_how_well_encoders_share_a_set(where, by):
    if where == "bucket":
        pytest.importorskip("obstore", reason="obstore is not installed")
    tiny = {"blocks": 2, "frames": 2, "dim": 8, "repeats": 1}
    settings = scaling.Scaling(
        where=(where,), by=(by,), actors=(1, 2), seconds=0.2, faster=(), **tiny
    )
    *rows, fall = scaling.run(settings)
    assert [row["blocks"] for row in rows] == [2, 4]
    assert all(0 < row["efficiency"] <= 1 for row in rows)
    assert fall["actors"] == 2


def test_the_rate_is_where_the_efficiency_passes_nine_tenths():
    def row(floor: float, efficiency: float) -> dict:
        return {
            "floor_blocks_a_second": floor,
            "blocks_a_second": floor * efficiency,
            "efficiency": efficiency,
        }

    found = scaling.fall([row(16, 1.0), row(32, 0.8)])
    assert found == {"falls_to_0.9_at": "about", "blocks_a_second": 0.9 * 24}
    assert scaling.fall([row(16, 0.95)])["falls_to_0.9_at"] == "at least"
    assert scaling.fall([row(16, 0.5)]) == {"falls_to_0.9_at": "below", "blocks_a_second": 8}
