"""What an extraction is made of, each alone: decoding and encoding."""

from collections.abc import Callable
from pathlib import Path

import torch

from vifi.bench.bench_settings import Pipeline
from vifi.bench.timing import elapsed, quantiles
from vifistore.extract.decoded_rows import open_pools
from vifistore.extract.encoder import Encoder
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.recipes import choose_device, resolve_recipe
from vifistore.models.encoders import LoadedModel


def decode_only(paths: list[Path], wanted: ExtractSettings, loaded: LoadedModel) -> None:
    """Decode and, on a CPU, resize, as the pipeline does, its workers' start included."""
    preprocessing = resolve_recipe(wanted, loaded).preprocessing
    with open_pools(wanted, preprocessing, choose_device(wanted.device)) as pool:
        for _ in pool.decode(enumerate(paths)):
            pass


def encode_only(
    settings: Pipeline,
    num_frames: int,
    loaded: LoadedModel,
    precision: str,
    device: torch.device,
) -> float:
    """Seconds of encoding so many frames, from the time of whole batches."""
    encoder = Encoder(loaded, precision=precision, device=device, compiled=True)
    batch = torch.rand_like(encoder.blank(encoder.batch), dtype=torch.float32).to(encoder.dtype)
    frames_per_batch = encoder.batch * encoder.frames_per_row
    num_batches = -(-num_frames // frames_per_batch)

    def encode() -> None:
        (*_, (_, last)) = encoder.encode((number, batch) for number in range(num_batches))
        last.cpu()

    return median(settings, encode) * num_frames / (num_batches * frames_per_batch)


def beside_parts(seconds: float, decode_seconds: float, encode_seconds: float) -> dict[str, float]:
    """The time of a whole extraction beside that of its parts, all in seconds."""
    alone = (decode_seconds, encode_seconds)
    return {
        "decode_only_seconds": round(decode_seconds, 3),
        "encode_only_seconds": round(encode_seconds, 3),
        "times_their_sum": round(seconds / sum(alone), 3),
        "times_the_larger": round(seconds / max(alone), 3),
    }


def median(settings: Pipeline, function: Callable[[], object]) -> float:
    """Seconds of a call, the median of --repeats."""
    return quantiles([elapsed(function) for _ in range(settings.repeats)]).p50
