"""An object store in memory with the conditional writes of a real one, and a clock of its own."""

from collections.abc import Callable

from vifistore.store.key_value.conditional import ChangedError, Seen


class Remembered:
    """Objects by key; every call of `before` may be where another process goes on."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, int, float]] = {}
        self.seconds = 1e9
        self.num_writes = 0
        self.before: Callable[[], None] = lambda: None

    def fetch(self, key: str) -> tuple[bytes, Seen] | None:
        self.before()
        if key not in self.objects:
            return None
        data, number, changed = self.objects[key]
        return data, Seen(e_tag=str(number), generation=None, changed_at=float(int(changed)))

    def look(self, key: str) -> Seen | None:
        found = self.fetch(key)
        return found and found[1]

    def swap(self, key: str, data: bytes, seen: Seen | None) -> None:
        self.before()
        number = self.objects[key][1] if key in self.objects else None
        if (seen and seen.e_tag) != (None if number is None else str(number)):
            raise ChangedError(key)
        self.num_writes += 1
        self.objects[key] = (data, self.num_writes, self.seconds)

    def remove(self, key: str) -> None:
        self.before()
        self.objects.pop(key, None)
