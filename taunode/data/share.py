"""The part of each batch that one of several processes, which train one network together, works on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """Process `rank` of `world` (0 <= rank < world): alone unless something else is said."""

    rank: int = 0
    world: int = 1

    def of(self, count: int) -> slice:
        """This process's part of a batch of `count`: parts are contiguous, as equal as can be, and may be empty."""
        return slice(count * self.rank // self.world, count * (self.rank + 1) // self.world)


ALONE = Share()
