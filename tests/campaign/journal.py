"""What the campaign did: every fault of a round, in order, and how many of each kind there were in which place."""

import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Journal:
    """Of one place.

    Attributes:
        counts: kind of fault → how often.
        told: notes of the present round, each with the seconds since it began.
    """

    place: str
    counts: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    _began: float = 0.0

    def begin(self) -> None:
        self.told, self._began = [], time.monotonic()

    def note(self, what: str) -> None:
        self.told.append(f"{time.monotonic() - self._began:7.2f} s  {what}")

    def fault(self, kind: str, details: str = "") -> None:
        self.counts[kind] += 1
        self.note(f"{kind} {details}".rstrip())

    def total(self) -> int:
        return self.counts.total()


def table(journals: list[Journal]) -> str:
    """A line a kind, a column a place."""
    kinds = sorted({kind for one in journals for kind in one.counts})
    width = max((len(kind) for kind in kinds), default=0)
    lines = [f"{'fault':{width}}" + "".join(f"{one.place:>8}" for one in journals)]
    lines += [f"{kind:{width}}" + "".join(f"{one.counts[kind]:8}" for one in journals) for kind in kinds]
    return "\n".join([*lines, f"{'all':{width}}" + "".join(f"{one.total():8}" for one in journals)])
