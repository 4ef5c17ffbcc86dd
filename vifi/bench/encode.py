"""Claim: encoding is bound by matrix products: preprocessing and launches cost little beside them.

    vifi bench encode --device cuda

Frames are uint8 and lie on the device. A call preprocesses a batch of them as OpenCLIP does and
encodes it, as an extraction does. `tflops` counts what the image tower computes as it runs here (of
the last block the class token alone, where no other is read), a multiply-accumulate as two, over
the whole time of the call; `share_of_matmul` is that over the rate of a large square matrix product
of the same dtype, measured in the same run. `place_difference` is the most by which a frame's
embedding differs at another place of its batch, relative to the largest number in any. The paper:
ViT-B-16 on an A100, 71.1 views of 16 frames or 1,138 frames a second.
"""

from collections.abc import Iterator

import torch

from vifi.bench.arithmetic import image_flops, measure_matmul
from vifi.bench.bench_settings import Encode
from vifi.bench.timing import peak_bytes, seconds
from vifistore.errors import UsageError
from vifistore.extract.encoder import Encoder
from vifistore.extract.recipes import choose_device
from vifistore.frames.preprocess import preprocess, preprocessing_of
from vifistore.models.encoders import LoadedModel
from vifistore.models.towers import load_model

CASE = ("model", "precision", "way", "batch", "height", "width")
_PRECISIONS = ("fp32", "bf16")


def run(settings: Encode) -> Iterator[dict]:
    """One row for each precision, and on a GPU for each of eager and compiled.

    Raises UsageError for an unknown precision.
    """
    for precision in settings.precisions:
        if precision not in _PRECISIONS:
            raise UsageError(f"--precisions has {precision!r}; give {' or '.join(_PRECISIONS)}")
    device = choose_device(settings.device)
    loaded = load_model(settings.model, settings.pretrained)
    common = {"model": settings.model, "pretrained": loaded.name}
    for precision in settings.precisions:
        for compiled in (False, True) if device.type == "cuda" else (False,):
            yield _row(settings, loaded, device, precision, compiled) | common


def _row(
    settings: Encode, loaded: LoadedModel, device: torch.device, precision: str, compiled: bool
) -> dict[str, object]:
    encoder = Encoder(
        loaded, precision=precision, device=device, batch=settings.batch, compiled=compiled
    )
    preprocessing = preprocessing_of("openclip", loaded.preprocess_config, 1)
    shape = (encoder.batch, settings.height, settings.width, 3)
    frames = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)

    def call() -> None:
        pixels = preprocess(frames, preprocessing, 1, encoder.dtype)[0]
        list(encoder.encode([(None, pixels)]))

    taken = seconds(call, settings.repeats, device)
    rate = image_flops(loaded, encoder.module) * encoder.batch / taken.p50
    matmul = measure_matmul(device, encoder.dtype)
    return {
        "precision": precision,
        "way": "compiled" if encoder.is_compiled else "eager",
        "batch": encoder.batch,
        "height": settings.height,
        "width": settings.width,
        **taken.row(),
        "frames_per_second": encoder.batch / taken.p50,
        "tflops": rate / 1e12,
        "matmul_tflops": matmul / 1e12,
        "share_of_matmul": rate / matmul,
        "peak_bytes": peak_bytes(call, device),
        "place_difference": place_difference(encoder),
    }


def place_difference(encoder: Encoder) -> float:
    """The most by which an embedding differs at another place of its batch, over the largest number
    in any."""
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randn(encoder.blank(encoder.batch).shape, generator=draw).to(encoder.device)
    orders = [torch.arange(encoder.batch), torch.randperm(encoder.batch, generator=draw)]
    found = []
    for order in orders:
        ((_, given),) = encoder.encode([(None, pixels[order])])
        found.append(given[order.argsort()].cpu())
    return float((found[0] - found[1]).abs().max() / found[0].abs().max())
