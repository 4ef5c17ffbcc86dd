import importlib.util
import json
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "protocols.py"


def test_every_protocol_runs_untimed(tmp_path, capsys, monkeypatch):
    # Waiting for the disk is most of the time of so small a store.
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    spec = importlib.util.spec_from_file_location("protocols_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
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
    results = tmp_path / "protocols.jsonl"
    module.main(module.Protocols(dim=16, results=results))
    row = json.loads(results.read_text())
    assert row == json.loads(capsys.readouterr().out)
    # Three splits, their mean and deviation, of four metrics, on three datasets.
    assert row["zero_shot_rows"] == 3 * (3 + 2) * 4
    assert row["few_shot_rows"] == 3 * 2 * 4
    assert row["classifiers_rows"] == 3 * 2 * 4
    assert row["all_seconds"] > 0
