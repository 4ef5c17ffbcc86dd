"""Numbers of float32 in the digits that tell them apart: 5.22, not 5.2200000286102295."""

import math
import struct

# Six digits are kept by float32, nine tell any two of its numbers apart (IEEE 754).
_DIGITS = range(6, 10)
_FLOAT32 = struct.Struct("<f")


def shortest(value: float) -> float:
    """The number of the fewest digits that float32 holds as it holds `value`; any number that
    float32 does not hold stays as it is."""
    if not math.isfinite(value) or _held(value) != value:
        return value
    rounded = (float(f"{value:.{digits}g}") for digits in _DIGITS)
    return next((one for one in rounded if _held(one) == value), value)


def in_short(document: object) -> object:
    """A document of dicts, lists and tuples with its numbers in their shortest digits."""
    if isinstance(document, float):
        return shortest(document)
    if isinstance(document, dict):
        return {key: in_short(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return (list if isinstance(document, list) else tuple)(map(in_short, document))
    return document


def _held(value: float) -> float:
    """What float32 holds of a number; infinity for one that is too large."""
    try:
        return _FLOAT32.unpack(_FLOAT32.pack(value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
