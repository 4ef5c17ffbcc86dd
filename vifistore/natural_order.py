"""Names in the order in which people count: step-2 before step-10."""

import re


def natural_order(name: str) -> list[tuple[bool, int, str]]:
    """What to sort names by: numbers in them by their value, all else as text."""
    # Python makes no number of more than some thousands of digits.
    parts = re.split(r"(\d{1,300})", name)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]
