"""Targets are held against the rows that speak of them, and nothing else."""

from vifi.bench.speed_targets import targets, worst

POOL = {
    "benchmark": "kernels",
    "case": "temporal_pool forward",
    "views": 9,
    "frames": 8,
    "dim": 512,
    "dtype": "float16",
    "copy_gigabytes_per_second": 4000.0,
    "gigabytes_per_second": 3600.0,
    "extra_bytes": 0,
}
LOSS = {**POOL, "case": "fusion_cross_entropy image forward and backward"}
ENCODE = {"benchmark": "encode", "model": "ViT-B-16", "device_type": "cuda", "precision": "bf16"}


def ways(row, **milliseconds):
    paths = {"chosen": "kernel"}
    return [
        {**row, "way": way, "path": paths.get(way, way), "p50_ms": time}
        for way, time in milliseconds.items()
    ]


def reached(rows):
    return {target.what: (target.reached, target.is_reached) for target in targets(rows)}


def test_a_pooling_is_held_against_copy_eager_and_compiler():
    name = "temporal_pool, 8 frames, 512 dimensions, "
    found = reached(ways(POOL, chosen=2.0, reference=6.0, compiled=1.9))
    assert found == {
        name + "share of a copy's bandwidth": (0.9, True),
        name + "speed over eager": (3.0, True),
        name + "speed over torch.compile": (0.95, False),
    }


def test_every_size_is_a_target_of_its_own():
    rows = ways(POOL, chosen=1.0, reference=3.0) + ways({**POOL, "dim": 768}, chosen=1, reference=1)
    met = [target.is_reached for target in targets(rows)]
    assert met == [True, True, True, False]


def test_a_loss_is_held_against_eager_in_time_and_memory():
    chosen, eager = ways(LOSS, chosen=1.0, reference=2.0)
    found = reached([{**chosen, "extra_bytes": 5}, {**eager, "extra_bytes": 100}])
    assert found == {
        "fusion_cross_entropy, speed over eager": (2.0, True),
        "fusion_cross_entropy, memory beyond inputs and gradients over eager's": (0.05, True),
    }


def test_encoding_is_held_against_the_matrix_product_by_its_best_way():
    rows = [{**ENCODE, "share_of_matmul": share} for share in (0.4, 0.65)]
    share = "ViT-B-16, share of the matrix product's rate"
    assert reached(rows) == {share: (0.65, True)}
    rows = [{**row, "device": "NVIDIA H200", "frames_per_second": 12e3} for row in rows]
    assert reached(rows) == {share: (0.65, True), "ViT-B-16, frames a second": (12e3, False)}


def test_files_and_training_are_held_against_their_parts():
    files = {"benchmark": "from_files", "device_type": "cuda", "decoder": "pyav"}
    rows = [{**files, "share_of_slower": 0.91}, {**files, "decoder": "b", "skipped": "why"}]
    train = {"benchmark": "training", "device_type": "cuda", "way": "memory", "is_compiled": True}
    rows += [{**train, "matmul_share": share} for share in (0.3, 0.41)]
    rows += [{**train, "matmul_share": 0.9, "is_compiled": False}]
    assert reached(rows) == {
        "from files, pyav, share of the slower of decoding and encoding alone": (0.91, True),
        "training from memory, share of the matrix product's rate": (0.41, True),
    }
    assert targets([{**row, "device_type": "cpu"} for row in rows]) == []


def test_the_worst_of_several_sizes_counts():
    rows = ways(POOL, chosen=1.0, reference=3.0)
    rows += ways({**POOL, "dim": 768, "gigabytes_per_second": 3000.0}, chosen=1, reference=4)
    found = worst(targets(rows))
    assert {kind: target.of for kind, target in found.items()} == {
        "temporal_pool, share of a copy's bandwidth": "8 frames, 768 dimensions",
        "temporal_pool, speed over eager": "8 frames, 512 dimensions",
    }


def test_a_benchmark_that_was_stopped_speaks_of_whole_cases():
    assert targets(ways(POOL, chosen=1.0)) == []


def test_without_a_gpu_there_is_nothing_to_reach():
    (row,) = ways(POOL, chosen=1.0)
    rows = [{**row, "path": "reference"}, {**ENCODE, "device_type": "cpu", "share_of_matmul": 0.1}]
    assert targets(rows) == []
    assert targets([{**ENCODE, "precision": "fp32", "share_of_matmul": 0.1}]) == []
