from benchmarks import fusion


def test_runs_untimed_and_agrees_with_the_direct_loop():
    sizes = {"num_videos": 70, "num_frames": 3, "num_classes": 5, "dim": 16}
    (row,) = fusion.run(fusion.Fusion(**sizes, repeats=1))
    assert sizes.items() <= row.items()
    for name in fusion.FUSIONS:
        assert row[f"{name}_max_cosine_difference"] < 1e-5
    assert row["speedup_over_loop"] > 0
