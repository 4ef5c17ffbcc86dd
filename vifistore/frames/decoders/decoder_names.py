"""Names of the decoders, for command lines: apart from the decoders, which take long to import."""

from typing import Literal

DecoderName = Literal["decord", "pyav", "torchcodec"]
"""A key of `vifistore.frames.decoders.decoding.DECODERS`."""

NVDEC = "torchcodec-cuda"
"""The video engines of an NVIDIA GPU, beside CPU cores, in extractions."""
ExtractDecoder = Literal[DecoderName, "torchcodec-cuda"]
"""What an extraction decodes with."""


def cpu_decoder(decoder: str) -> str:
    """What the CPU cores decode with where a decoder is asked for."""
    return "pyav" if decoder == NVDEC else decoder
