import importlib.util
import json
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kernels.py"


def test_every_case_runs_untimed(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("kernels_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    results = tmp_path / "kernels.jsonl"
    sizes = {"num_views": 2, "num_frames": 3, "dim": 16, "num_classes": 5, "size": 32}
    module.main(module.Kernels(**sizes, repeats=2, results=results))
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert results.read_text() == capsys.readouterr().out
    assert len(rows) == 10
    assert len({(row["case"], row["way"]) for row in rows}) == 10
    for row in rows:
        assert sizes.items() <= row.items()
        assert row["p20_ms"] <= row["p50_ms"] <= row["p80_ms"]
        assert row["floor_bytes"] > 0
        assert row["reason"]
