"""Names of the decoders, for command lines: apart from the decoders, which take long to import."""

from typing import Literal

DecoderName = Literal["decord", "pyav", "torchcodec"]
"""A key of `vifistore.frames.decoding.DECODERS`."""
