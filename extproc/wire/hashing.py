"""The hash of units, XXH64: fast, and the same in every language and in many databases.

https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
"""

from xxhash import xxh64_intdigest


def hash64(data: bytes) -> int:
    """XXH64 with seed 0, in [0, 2^64)."""
    return xxh64_intdigest(data)
