"""The benchmark of a driver's memory gives a row of all blocks."""

import pytest

from benchmarks import driver_memory

pytestmark = pytest.mark.slow


def test_a_row_says_what_a_driver_held():
    pytest.importorskip("ray", reason="Ray is not installed")
    (row,) = driver_memory.run(driver_memory.DriverMemory(videos=1000, encoders=1))
    assert (row["videos"], row["blocks"]) == (1000, 16)
    assert 0 < row["start_mib"] < row["driver_mib"] < 2048
