"""What came of a study."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class StudyOutcome:
    """What came of a study."""

    done: list[str] = field(default_factory=list)
    """Steps that this run did."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why others failed, by name."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Which step those wait for that were not begun."""
