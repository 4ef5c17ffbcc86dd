from pathlib import Path

import pytest

from benchmarks import kernel_figures
from benchmarks.compiled_kernels import Compiled
from benchmarks.kernel_figures import INSTALLED, Figures
from benchmarks.kernel_tables import floors, occupancy
from vifi.bench.recording import read_rows
from vifistore.kernels.temporal_pool import BYTES_IN_FLIGHT


def test_figures_of_one_kernel(monkeypatch, tmp_path):
    pytest.importorskip("triton", reason="Triton is not installed")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    row = next(kernel_figures.run(Figures(triton=(INSTALLED,), only="resize_box")))
    assert row["kernel"] == "preprocess_frames_forward"
    assert row["spill_bytes"] == 0
    assert row["loads"] > 0
    assert row["wgmma"] == row["mma"] == 0
    assert 1 <= row["blocks_per_multiprocessor"] <= 32
    assert row["warps_per_multiprocessor"] == 4 * row["blocks_per_multiprocessor"]


def test_the_table_of_the_docs_is_that_of_the_rows():
    root = Path(__file__).parents[2]
    rows = read_rows(root / "benchmarks" / "results" / "kernel_figures.jsonl")
    lines = [*occupancy(rows), *floors(rows)]
    assert len(lines) > 16
    page = (root / "docs" / "GPU.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line not in page] == []
    for row in rows:
        if "before" not in row.get("note", "") and row["kernel"] != "eager":
            assert row["spill_bytes"] == 0, row
            assert row.get("bytes_in_flight", BYTES_IN_FLIGHT) >= BYTES_IN_FLIGHT


@pytest.mark.parametrize(
    ("registers", "shared", "warps", "blocks"),
    # By registers, which a warp gets in units of 256; by shared memory; by warps; by blocks.
    [(128, 4096, 4, 4), (126, 0, 4, 4), (64, 100 * 1024, 4, 2), (24, 0, 8, 8), (16, 0, 1, 32)],
)
def test_blocks_of_a_multiprocessor(registers, shared, warps, blocks):
    kernel = Compiled(
        kernel="k",
        specialisation="",
        grid=(1,),
        tiles={},
        warps=warps,
        stages=1,
        shared_bytes=shared,
        ptx="",
        cubin=b"",
    )
    vars(kernel)["_usage"] = {"REG": registers}
    assert kernel.blocks == blocks
