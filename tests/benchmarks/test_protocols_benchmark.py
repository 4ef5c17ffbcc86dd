from benchmarks import protocols as module


def test_every_protocol_runs_untimed(monkeypatch):
    monkeypatch.setattr(module, "SHOTS", (1, 2))
    monkeypatch.setattr(module, "SEEDS", (0, 1))
    monkeypatch.setattr(module, "CLASSIFIERS", ("prototype",))
    small = {
        "hmdb51": module.Sizes(classes=6, tests=(12, 12, 12), base=3, halves=(6, 6)),
        "ucf101": module.Sizes(classes=7, tests=(14, 14, 14), base=4, halves=(8, 6)),
        "ssv2": module.Sizes(classes=6, tests=(12,), base=3, halves=(6, 6)),
        "k600": module.Sizes(classes=8, tests=(12, 12, 12), test_classes=6),
    }
    monkeypatch.setattr(module, "SIZES", small)
    (row,) = module.run(module.Protocols(dim=16))
    # Three splits, their mean and deviation, of four metrics, on three datasets.
    assert row["zero_shot_rows"] == 3 * (3 + 2) * 4
    assert row["few_shot_rows"] == 3 * 2 * 4
    assert row["classifiers_rows"] == 3 * 2 * 4
    assert row["all_seconds"] > 0
