"""docs/assignment.md: what it tells analysts to compute is what is decided."""

import re
from typing import Any

from extproc.core.assignment import bucket, held_out, rendezvous, slot
from extproc.wire.hashing import hash64
from tests.test_packaging import ROOT

PAGE = (ROOT / "docs" / "assignment.md").read_text()
USERS = [f"user-{i}" for i in range(500)] + ["zoë", "a/b", ""]
WEIGHTS = {"iris": 70, "iris2": 30, "iris3": 1}


def test_the_python_of_the_page_gives_every_unit_its_candidate() -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    written: dict[str, Any] = {}
    exec(program, written)  # noqa: S102 (the page's own program)
    candidates = [(name.encode(), weight) for name, weight in WEIGHTS.items()]
    for user in USERS:
        chosen = candidates[rendezvous(hash64, bucket(hash64, b"spring/1", user.encode()), candidates)][0].decode()
        assert written["candidate"]("spring/1", user, WEIGHTS) == chosen


def test_slots_and_holdout_are_those_of_the_page() -> None:
    assert '(xxh64("layer/" + layer + "/" + unit) >> 32) * 1000 >> 32' in PAGE
    assert '(xxh64("holdout/" + seed + "/" + unit) >> 32) * 1000000 >> 32 < holdout * 10000' in PAGE
    for user in USERS:
        assert slot(hash64, b"ranking", user.encode()) == (hash64(f"layer/ranking/{user}".encode()) >> 32) * 1000 >> 32
        hashed = (hash64(f"holdout/ab/{user}".encode()) >> 32) * 1_000_000 >> 32
        assert held_out(hash64, b"ab", user.encode(), 125_000) is (hashed < 12.5 * 10_000)
