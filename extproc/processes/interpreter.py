"""How Python itself is set for a process that holds thousands of things for long, and builds on a second thread."""

import gc
import sys
from typing import Final

ALLOCATED: Final = 10_000  # objects made, and not ended, between two looks for garbage among them; a millisecond
LOOKS: Final = 500  # such looks before one at all that is not settled
SWITCH: Final = 0.0001  # seconds


def set_up() -> None:
    """For the process as a whole; to be called once, at its start."""
    # What is held is held for long, and in no cycles. By its defaults Python would look through all of it again and
    # again: for 10,000 experiments a fifth of the start, and half a second at a time later on.
    gc.set_threshold(ALLOCATED, LOOKS, 100)
    # By default a thread keeps the others waiting for 5 ms each time that one of them wants to go on, and a change of
    # weights does several times while Envoy's configuration is built.
    sys.setswitchinterval(SWITCH)


def settled() -> None:
    """What is held now will be for long: nobody looks through it again."""
    gc.collect()  # else what is garbage already would be kept for good
    gc.freeze()
