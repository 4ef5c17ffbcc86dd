"""`vifi bench`: each benchmark runs once, tiny and untimed, so that none can rot."""

import json

import pytest

from tests.vifistore.extract.conftest import write_clip
from vifi.__main__ import run
from vifi.bench.verb import BENCHMARKS, usage

KERNELS = ("--num-views", 2, "--num-frames", 3, "--dim", 16, "--num-classes", 5, "--size", 32)
POOLS = ("--pool-frames", 1, 3, "--pool-dims", 16, "--pool-values", 96)
CPU = ("--device", "cpu", "--repeats", 2)


@pytest.fixture
def bench(capsys, tmp_path, monkeypatch):
    """Run `vifi bench ...` in an empty folder; return exit code, output and last line of errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run(["bench", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, (captured.err.strip().splitlines() or [""])[-1]

    return call


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def check_origin(rows, name):
    for row in rows:
        assert row["benchmark"] == name
        assert {"torch", "vifistore", "python"} <= row["versions"].keys()
        assert row["machine"]
        assert row["device"]
        assert row["time"]


def check_quantiles(rows):
    for row in rows:
        assert 0 < row["p20_ms"] <= row["p50_ms"] <= row["p80_ms"]


def test_kernels(bench, tmp_path):
    code, text, _ = bench("kernels", *CPU, *KERNELS, *POOLS)
    rows = read(tmp_path / "bench" / "kernels.jsonl")
    assert code == 0
    assert text.splitlines()[-1] == "14 rows in bench/kernels.jsonl"
    check_origin(rows, "kernels")
    check_quantiles(rows)
    assert len({(row["case"], row.get("frames"), row["way"]) for row in rows}) == len(rows) == 14
    for row in rows:
        assert row["floor_bytes"] > 0
        assert row["reason"]
    pooled = [row for row in rows if row["case"] == "temporal_pool forward"]
    # 6 views of 1 frame and 2 of 3 in float16, two float32 vectors a view.
    assert {(r["views"], r["frames"]): r["floor_bytes"] for r in pooled} == {
        (6, 1): 6 * 16 * 2 + 6 * 2 * 16 * 4,
        (2, 3): 6 * 16 * 2 + 2 * 2 * 16 * 4,
    }


def test_encode(bench, tmp_path):
    small = ("--model", "vifi-tiny", "--batch", 2, "--height", 40, "--width", 48)
    assert bench("encode", *CPU, *small, "--out", tmp_path / "rows")[0] == 0
    rows = read(tmp_path / "rows" / "encode.jsonl")
    check_origin(rows, "encode")
    check_quantiles(rows)
    assert [(row["precision"], row["way"]) for row in rows] == [
        ("fp32", "eager"),
        ("bf16", "eager"),
    ]
    for row in rows:
        assert row["frames_per_second"] == pytest.approx(2 / row["p50_ms"] * 1e3)
        assert row["share_of_matmul"] == pytest.approx(row["tflops"] / row["matmul_tflops"])


def test_decode_counts_what_fails(bench, tmp_path):
    for number in range(3):
        write_clip(tmp_path / "v" / f"{number}.mp4", seed=number, num_frames=5)
    (tmp_path / "v" / "bad.avi").write_text("no video")
    wanted = ("decode", "--folder", tmp_path / "v", "--frames", 2, "--workers", 1)
    assert bench(*wanted)[0] == 0
    rows = read(tmp_path / "bench" / "decode.jsonl")
    check_origin(rows, "decode")
    check_quantiles(rows)
    found = {(row["decoder"], row["workers"], row["videos"], row["failed"]) for row in rows}
    assert {("decord", 0, 3, 1), ("decord", 1, 3, 1), ("pyav", 0, 3, 1)} <= found
    assert bench(*wanted, "--limit", 2)[0] == 0
    assert {row["videos"] for row in read(tmp_path / "bench" / "decode.jsonl")[len(rows) :]} <= {
        1,
        2,
    }


def test_several_run_one_after_the_other_and_into_committed_results(bench, tmp_path):
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    small = ("--model", "vifi-tiny", "--out", tmp_path)
    code, text, _ = bench("encode", "compute", *CPU, *small)
    assert code == 0
    assert text.splitlines()[-1] == f"2 rows in {tmp_path}/compute.jsonl"
    assert bench("compute", *CPU, "--model", "vifi-tiny", "--frames", 2)[0] == 0
    assert len(read(tmp_path / "benchmarks" / "results" / "compute.jsonl")) == 2


def test_help_names_every_benchmark(bench, capsys):
    with pytest.raises(SystemExit) as stop:
        bench("--help")
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert text == usage() + "\n"
    for name in BENCHMARKS:
        assert f"  {name} " in text
    with pytest.raises(SystemExit) as stop:
        bench("encode", "--help")
    assert stop.value.code == 0


def test_wrong_calls_are_one_line_with_the_remedy(bench, tmp_path, tmp_path_factory):
    unreadable = tmp_path_factory.mktemp("unreadable")
    (unreadable / "a.mp4").write_text("no video")
    for arguments, words in [
        ((), "name a benchmark: kernels, encode"),
        (("--device", "cpu"), "name a benchmark: kernels, encode"),
        (("kernel",), "Did you mean 'kernels'?"),
        (("encode", "decode", "--model", "x"), "see vifi bench decode --help"),
        (("encode", "--batch", "-1"), "--batch is -1; give 0 or more"),
        (("kernels", "--pool-dims", 512, 0), "--pool-dims is 0; give 1 or more"),
        (("encode", "--precisions", "fp8"), "give fp32 or bf16"),
        (("kernels", "--dtype", "int8"), "--dtype is 'int8'"),
        (("kernels", "--device", "tpu"), "--device"),
        (("decode", "--folder", tmp_path / "none"), "there are no videos in"),
        (("pipeline", "--folder", tmp_path / "none", "--device", "cpu"), "there are no videos in"),
        (("pipeline", "--folder", unreadable, "--device", "cpu"), "decord reads no video of"),
        (("compute", "--features", "x"), "--results and --features go together"),
    ]:
        code, text, error = bench(*arguments)
        assert (code, text) == (2, ""), (arguments, error)
        assert words in error, error
        assert error.startswith("vifi: ")
    assert list(tmp_path.iterdir()) == []
