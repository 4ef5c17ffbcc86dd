"""The bits of the heads that coded videos have."""


class UnknownOrderError(Exception):
    """Which pictures give a frame cannot be told."""


class HeadBits:
    """Bits of some bytes, the highest of the first byte first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        """The number that the next bits are. Raises UnknownOrderError where there are too few."""
        self._left -= count
        if self._left < 0:
            raise UnknownOrderError
        return self._value >> self._left & (1 << count) - 1

    def take_code(self) -> int:
        """The number that the next Exp-Golomb code is (ITU-T H.264, 9.1). Raises UnknownOrderError
        for none."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def skip_codes(self, count: int) -> None:
        """Pass over so many codes. Raises UnknownOrderError as `take_code` does."""
        for _ in range(count):
            self.take_code()
