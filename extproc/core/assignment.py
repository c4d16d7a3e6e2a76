"""Which candidate a unit gets: weighted rendezvous hashing, so that a changed weight moves only whom it has to move.

Pure: the hash is an argument, XXH64 with seed 0 in the product (`wire.hashing`). With it, in every language:

    bucket = xxh64(seed + "/" + unit) >> 32                        one of 2^32
    score  = -ln((xxh64(bucket + "/" + candidate) + 0.5) / 2^64) / weight
    the candidate with the smallest score gets the unit

where `seed` is the experiment's name unless it has one of its own, and numbers are written in decimal. A score is an
exponential variate of rate `weight`, and the smallest of several belongs to each in proportion to its weight. It
depends on no other candidate, so a weight that grows only draws units towards its candidate and one that shrinks only
lets go.
Schindelhauer and Schomaker, "Weighted Distributed Hash Tables" (SPAA 2005), the logarithmic method; Thaler and
Ravishankar, "Using Name-Based Mappings to Increase Hit Rates" (1998), rendezvous hashing.
"""

from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from math import log, log1p
from typing import Final

from extproc.core.resources import MILLION
from extproc.core.units import SLOTS

Hash = Callable[[bytes], int]  # uniform in [0, 2^64), the same everywhere

BUCKET_BITS: Final = 32

_SHIFT: Final = 64 - BUCKET_BITS
_SCALE: Final = 2.0**-64
_HALF: Final = 2**63

# The logarithms of two C libraries may differ in the last of 53 bits. What they could disagree about is decided in
# decimal arithmetic, whose ln() is rounded correctly everywhere.
_TOO_CLOSE: Final = 1.0 + 2.0**-40
_EXACT: Final = Context(prec=60)


def bucket(hash64: Hash, seed: bytes, unit: bytes) -> int:
    """The bucket of a unit, uniform in [0, 2^32)."""
    return hash64(b"%b/%b" % (seed, unit)) >> _SHIFT


def slot(hash64: Hash, layer: bytes, unit: bytes) -> int:
    """The slot of a unit in a layer, uniform in [0, SLOTS); it depends on the layer's name alone."""
    return (hash64(b"layer/%b/%b" % (layer, unit)) >> _SHIFT) * SLOTS >> BUCKET_BITS


def held_out(hash64: Hash, seed: bytes, unit: bytes, holdout: int) -> bool:
    """Whether a unit is among the `holdout` millionths that stay out of the experiment; who is, stays when it grows."""
    return (hash64(b"holdout/%b/%b" % (seed, unit)) >> _SHIFT) * MILLION >> BUCKET_BITS < holdout


def rendezvous(hash64: Hash, at: int, candidates: Sequence[tuple[bytes, int]]) -> int:
    """The index of the candidate (name, weight above 0) that the bucket `at` gets; of none, 0."""
    chosen, smallest, close = 0, 0.0, False
    for index, (name, weight) in enumerate(candidates):
        score = _score(hash64(b"%d/%b" % (at, name)), weight)
        if index == 0:
            smallest = score
        elif score < smallest:
            close = score * _TOO_CLOSE >= smallest
            chosen, smallest = index, score
        elif score <= smallest * _TOO_CLOSE:
            close = True
    return _exactly(hash64, at, candidates) if close else chosen


def _score(hashed: int, weight: int) -> float:
    if hashed < _HALF:
        return -log((hashed + 0.5) * _SCALE) / weight
    # Near 1 a float holds too little of the hash. What it lacks to 1 is held as precisely as any other.
    return -log1p((hashed - 2 * _HALF + 0.5) * _SCALE) / weight


def _exactly(hash64: Hash, at: int, candidates: Sequence[tuple[bytes, int]]) -> int:
    def score(index: int) -> Decimal:
        name, weight = candidates[index]
        part = _EXACT.divide(Decimal(2 * hash64(b"%d/%b" % (at, name)) + 1), Decimal(2**65))
        return _EXACT.divide(-_EXACT.ln(part), Decimal(weight))

    return min(range(len(candidates)), key=score)
