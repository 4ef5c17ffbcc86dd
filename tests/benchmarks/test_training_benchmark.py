import csv
import importlib.util
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "training.py"


def test_runs_untimed(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("training_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    results = tmp_path / "training.csv"
    sizes = {"num_frames": 1, "batch_size": 12, "clips": 1, "epochs": 2}
    ways = ("memory", "text-videos", "store")
    module.main(module.Training(**sizes, ways=ways, results=results))
    capsys.readouterr()
    with open(results, newline="") as file:
        rows = {row["way"]: row for row in csv.DictReader(file)}
    assert tuple(rows) == ways
    assert all(int(row["steps"]) == 2 for row in rows.values())
    assert all(0 <= float(row["data_share"]) <= 1 for row in rows.values())
    assert float(rows["store"]["speed_up"]) > 0
    assert float(rows["memory"]["matmul_share"]) > 0
    assert rows["store"]["matmul_share"] == ""
