"""What the objects of a type have been seen to do, so that nothing is expected of a controller that never did it.

Pure: habits grow with each readiness that is read, and are kept in the journal by who follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct


if TYPE_CHECKING:
    from exporter.rollout.readiness import Readiness


# So many rollouts in a row of which not a word was said, and no further one is begun until there is a word.
_MUTE = 3


class Habits(Struct, frozen=True, gc=False, array_like=True, omit_defaults=True):
    """What is known of a type.

    Args:
        observes: its observedGeneration was seen to have caught up, so one that lags says something
        judges: an object of it had a ready condition or a phase, so one that has none is not ready yet
        mute: rollouts in a row of which not a word was said

    """

    observes: bool = False
    judges: bool = False
    mute: int = 0

    @property
    def speaks(self) -> bool:
        """Tell whether anything is to be expected of it."""
        return self.observes or self.judges

    @property
    def silent(self) -> bool:
        """Tell whether it has said nothing so often that no word is to be expected."""
        return not self.speaks and self.mute >= _MUTE

    def after(self, seen: Readiness) -> Habits:
        """Learn from an object."""
        # That a condition was set for the first generation is no sign that it is set again for each.
        caught_up = seen.observed is not None and seen.observed == seen.generation
        observes = self.observes or (caught_up and (seen.explicit or (seen.generation or 0) > 1))
        judges = self.judges or seen.basis in ("conditions", "phase")
        if observes == self.observes and judges == self.judges:
            return self
        return Habits(observes=observes, judges=judges)

    def unsaid(self) -> Habits:
        """Learn that a rollout ended without a word."""
        return Habits(self.observes, self.judges, self.mute + 1)


UNKNOWN = Habits()
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Habits)


def encode(habits: Habits) -> bytes:
    """Encode for the journal."""
    return _encoder.encode(habits)


def decode(line: bytes) -> Habits:
    """Read back what `encode` wrote."""
    return _decoder.decode(line)
