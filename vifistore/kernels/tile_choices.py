"""Tiles of the kernels that multiply frames with classes, by what a card's products run on."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """The largest tiles of a kernel."""

    rows: int
    classes: int
    dim: int
    warps: int = 8


# Below it a card's matrix units read registers, of which large tiles need too many, and few such
# cards have room for what is loaded ahead of these.
LARGE_SHARED = 200 * 1024


@dataclass(frozen=True, kw_only=True)
class TileChoice:
    """Tiles of a kernel by what its products run on."""

    large: Tiles
    """On cards of much shared memory: of 64 or more rows, products of four warps each."""
    small: Tiles
    single: Tiles
    """Of float32 and float64, which use no tensor cores: sums that registers hold."""

    def of(self, is_half: bool, shared_bytes: int) -> Tiles:
        """Of products in half precision or not, on a card of so much shared memory a block."""
        if not is_half:
            return self.single
        return self.large if shared_bytes >= LARGE_SHARED else self.small


_SINGLE = Tiles(rows=32, classes=32, dim=16, warps=4)
FORWARD = TileChoice(
    large=Tiles(rows=64, classes=128, dim=64),
    small=Tiles(rows=64, classes=64, dim=32),
    single=_SINGLE,
)
STATISTICS = TileChoice(
    large=Tiles(rows=64, classes=64, dim=64),
    small=Tiles(rows=64, classes=32, dim=32),
    single=_SINGLE,
)
SCORES = TileChoice(
    large=Tiles(rows=32, classes=64, dim=64, warps=4),
    small=Tiles(rows=32, classes=64, dim=32, warps=4),
    single=_SINGLE,
)
LOGIT_GRADIENT = TileChoice(
    large=Tiles(rows=128, classes=128, dim=64),
    small=Tiles(rows=64, classes=64, dim=32),
    single=_SINGLE,
)
# Shares of a score's gradient take more registers.
SCORE_GRADIENT = TileChoice(
    large=Tiles(rows=64, classes=128, dim=64),
    small=Tiles(rows=64, classes=64, dim=32),
    single=_SINGLE,
)
# Here dim is that of the gradients, of which a program makes some columns.
FRAMES = TileChoice(
    large=Tiles(rows=128, classes=32, dim=128),
    small=Tiles(rows=64, classes=32, dim=128),
    single=Tiles(rows=64, classes=16, dim=64, warps=4),
)
TEXT = TileChoice(
    large=Tiles(rows=64, classes=64, dim=128),
    small=Tiles(rows=32, classes=64, dim=128),
    single=Tiles(rows=16, classes=64, dim=64, warps=4),
)
