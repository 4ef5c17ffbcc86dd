import importlib.util
import json
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fusion.py"


def test_runs_untimed_and_agrees_with_the_direct_loop(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("fusion_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    results = tmp_path / "fusion.jsonl"
    sizes = {"num_videos": 70, "num_frames": 3, "num_classes": 5, "dim": 16}
    module.main(module.Fusion(**sizes, results=results))
    row = json.loads(results.read_text())
    assert row == json.loads(capsys.readouterr().out)
    assert sizes.items() <= row.items()
    for fusion in ("embedding", "decision"):
        assert row[f"{fusion}_max_cosine_difference"] < 1e-5
    assert row["direct_loop_seconds"] > 0
