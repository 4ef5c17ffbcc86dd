"""Claim: on a CPU no way to run the image tower in bf16 is worth another library or other bytes.

    python -m benchmarks.tower_ways --models ViT-B-32 ViT-B-32-quickgelu --batches 32
    PYTHONPATH=ELSEWHERE/site-packages python -m benchmarks.tower_ways    # what lies there

With random weights, on the same pixels and in turns:

    openclip      OpenCLIP's own tower, as torch computes whole layers of attention
    last          its last block for the class token alone: what `vifi extract` runs, same bytes
    packed        all blocks as on a GPU
    oneDNN        packed, weights laid out once and activations fused by private operators of torch
    inductor      packed, compiled by torch with weights laid out once
    openvino      OpenVINO, in bf16
    onnxruntime   ONNX Runtime, in fp32: on x86 it has no bf16

All times are seconds of CPUs, so that rows hold beside other programs; set OMP_NUM_THREADS=1, since
threads that wait for each other count. `ratio` is the speed over that of `openclip`, the median of
the rounds; `share_of_matmul` what OpenCLIP's tower computes over the rate of a large product of
bf16 in the same rounds. Another library is taken if it is 1.3 x as fast as `last` at a cosine of
0.9999.
"""

import copy
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vifi.bench.arithmetic import image_flops
from vifi.bench.bench_settings import Bench
from vifi.bench.recording import script
from vifistore.extract.device_tower import running_on, tower_on
from vifistore.models.encoders import LoadedModel
from vifistore.models.packed_block import PackedBlock
from vifistore.models.packed_tower import pack, transformer_of
from vifistore.models.registry import open_clip
from vifistore.models.towers import load_model

CASE = ("model", "batch", "way")
CPU, BF16 = torch.device("cpu"), torch.bfloat16
_SIDE, _PRODUCTS = 1024, 20

_MATMUL = "matmul"

# Pixels [frame 3 height width] -> embeddings [frame dim], both float32.
Way = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class TowerWays(Bench):
    """What is encoded, how often."""

    models: tuple[str, ...] = ("ViT-B-32",)
    """OpenCLIP models, with random weights."""
    batches: tuple[int, ...] = (32,)
    """Frames a pass."""
    ways: tuple[str, ...] = ("openclip", "last", "packed", "oneDNN", "inductor")
    """Which of the ways, beside openvino and onnxruntime where these are installed."""
    rounds: int = 10
    """Times that each way runs, in turns."""


def run(settings: TowerWays) -> Iterator[dict]:
    """A row for each model, batch and way."""
    others = [name for name in ("openvino", "onnxruntime") if find_spec(name)]
    for model in settings.models:
        for batch in settings.batches:
            yield from _rows(settings, load_model(model, "none"), batch, others)


def _rows(
    settings: TowerWays, loaded: LoadedModel, batch: int, others: list[str]
) -> Iterator[dict]:
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randn(batch, 3, *loaded.image_size, generator=draw)
    tower = loaded.image_tower.eval()
    with torch.inference_mode():
        exact = tower(pixels)
    names = list(dict.fromkeys(["openclip", *settings.ways, *others]))
    ways = {name: WAYS[name](tower, pixels) for name in names}
    given = {name: way(pixels) for name, way in ways.items()}
    square = torch.randn(_SIDE, _SIDE, generator=draw).to(BF16)
    ways[_MATMUL] = lambda pixels: _products(square)
    rounds = [_round(ways, pixels, number) for number in range(settings.rounds)]
    product = 2 * _SIDE**3 * _PRODUCTS
    matmul = product / statistics.median(times[_MATMUL] for times in rounds)
    for name in names:
        taken = statistics.median(times[name] for times in rounds)
        cosines = torch.cosine_similarity(given[name], exact)
        yield {
            "model": loaded.model,
            "batch": batch,
            "way": name,
            "rounds": settings.rounds,
            "frames_per_cpu_second": batch / taken,
            "ratio": statistics.median(times["openclip"] / times[name] for times in rounds),
            "share_of_matmul": image_flops(loaded) * batch / taken / matmul,
            "matmul_tflops": matmul / 1e12,
            "lowest_cosine_with_fp32": float(cosines.min()),
            "same_bytes": torch.equal(given[name], given["openclip"]),
        }


def _products(square: Tensor) -> Tensor:
    """The last of some products of a matrix with itself."""
    product = square
    for _ in range(_PRODUCTS):
        product = square @ square
    return product


def _round(ways: dict[str, Way], pixels: Tensor, number: int) -> dict[str, float]:
    """CPU seconds of each way, begun with another one each time."""
    names = [*ways]
    start = number % len(names)
    order = names[start:] + names[:start]
    times = {}
    for name in order:
        begun = time.process_time()
        ways[name](pixels)
        times[name] = time.process_time() - begun
    return times


def _by_torch(tower: nn.Module) -> Way:
    def way(pixels: Tensor) -> Tensor:
        with running_on(CPU, ()):
            return tower(pixels.to(BF16)).float()

    return way


def _packed(tower: nn.Module, dtype: torch.dtype = BF16) -> nn.Module:
    own = copy.deepcopy(tower)
    pack(own)
    return own.to(dtype)


class _Laid(nn.Module):
    """A linear layer whose weights lie as oneDNN's products read them."""

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: str = "none") -> None:
        super().__init__()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach())
        self._bias, self._activation = bias, activation

    def forward(self, x: Tensor) -> Tensor:
        multiply = torch.ops.mkldnn._linear_pointwise
        return multiply(x, self._weight, self._bias, self._activation, [], "none")


class _LaidBlock(PackedBlock):
    """A packed block of such layers."""

    def __init__(self, block: Any) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(block.__dict__)
        self._modules, width = dict(block._modules), block.narrow.weight.shape[0]
        starts = [(0, width), (width, 3 * width)] if block._class_token else [(0, 3 * width)]
        self._inwards = {
            at: _Laid(block.weight[slice(*at)], block.bias[slice(*at)]) for at in starts
        }
        self.outwards = _Laid(block.outwards.weight, block.outwards.bias)
        is_quick = type(block.activation) is open_clip.transformer.QuickGELU
        # x sigmoid(1.702 x) is the swish of 1.702 x over 1.702.
        scale, name = (1.702, "swish") if is_quick else (1.0, "gelu")
        self.widen = _Laid(block.widen.weight * scale, block.widen.bias * scale, name)
        self.narrow = _Laid(block.narrow.weight / scale, block.narrow.bias)
        self.activation = nn.Identity()

    def _heads(self, normed: Tensor, start: int, stop: int) -> Any:
        made = self._inwards[start, stop](normed)
        made, parts = made.view(len(made), -1, stop - start), (stop - start) // normed.shape[-1]
        return made.unflatten(-1, (parts, self.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind()


def _one_dnn(tower: nn.Module, pixels: Tensor) -> Way:
    own = _packed(tower)
    blocks: Any = transformer_of(own).transformer.resblocks
    for number, block in enumerate(blocks):
        blocks[number] = _LaidBlock(block)
    return _by_torch(own)


def _inductor(tower: nn.Module, pixels: Tensor) -> Way:
    own = _packed(tower).requires_grad_(False)
    compiled: Any = torch.compile(own, dynamic=False, options={"freezing": True})

    def way(pixels: Tensor) -> Tensor:
        with torch.no_grad():
            return compiled(pixels.to(BF16)).float()

    way(pixels)
    return way


def _open_vino(tower: nn.Module, pixels: Tensor) -> Way:
    import openvino  # pyright: ignore[reportMissingImports]

    own = _packed(tower, torch.float32)
    with torch.no_grad():
        made = openvino.convert_model(own, example_input=pixels, input=[*pixels.shape])
    hints = {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = openvino.compile_model(made, "CPU", {**hints, "PERFORMANCE_HINT": "LATENCY"})
    return lambda pixels: torch.from_numpy(np.array(compiled([pixels.numpy()])[0]))


def _onnx_runtime(tower: nn.Module, pixels: Tensor) -> Way:
    import onnxruntime  # pyright: ignore[reportMissingImports]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        path, own = f"{folder}/tower.onnx", _packed(tower, torch.float32)
        torch.onnx.export(own, (pixels,), path, input_names=["pixels"], dynamo=False)
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    return lambda pixels: torch.from_numpy(session.run(None, {"pixels": pixels.numpy()})[0])


WAYS: dict[str, Callable[[nn.Module, Tensor], Way]] = {
    "openclip": lambda tower, pixels: _by_torch(copy.deepcopy(tower).to(BF16)),
    "last": lambda tower, pixels: _by_torch(tower_on(tower, CPU, BF16, len(pixels))),
    "packed": lambda tower, pixels: _by_torch(_packed(tower)),
    "oneDNN": _one_dnn,
    "inductor": _inductor,
    "openvino": _open_vino,
    "onnxruntime": _onnx_runtime,
}


if __name__ == "__main__":
    script("tower_ways", TowerWays, run, CASE, __doc__)
