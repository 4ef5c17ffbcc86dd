"""The benchmark of compressed frames runs; its numbers are for quiet machines."""

from benchmarks.frame_codes import FrameCodes, run


def test_runs():
    settings = FrameCodes(
        num_videos=70,
        num_frames=8,
        dim=32,
        num_clusters=(4,),
        num_queries=3,
        kinds=("Flat", "SQ4", "PQ16x4fs", "IVF4,SQ8", "turbovec4", "usearch-i8", "bundles"),
    )
    rows = {row["kind"]: row for row in run(settings)}
    assert {"Flat", "SQ4", "PQ16x4fs", "IVF4,SQ8", "bundles"} <= rows.keys()
    # A thousand candidates are all frames.
    assert all(row["recall_at_10"] == 1 for row in rows.values())
    assert 128 < rows["Flat"]["bytes_per_frame"] < 140
    assert rows["bundles"]["bytes_per_frame"] < rows["Flat"]["bytes_per_frame"]
