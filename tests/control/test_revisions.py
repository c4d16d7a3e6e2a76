"""A revision that exists makes sense."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from extproc.control.revisions import Action, Revision
from extproc.core.resources import Candidate, Experiment

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
IRIS = Experiment("iris-ab", (Candidate("iris", 1),))
WINE = Experiment("wine-ab", (Candidate("wine", 1),))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"number": 0}, "numbers count from 1"),
        ({"spec": WINE}, "revision 1 of iris-ab holds the spec of wine-ab"),
        ({"at": NOON.replace(tzinfo=None)}, "not in UTC"),
        ({"at": NOON.astimezone(timezone(timedelta(hours=1)))}, "not in UTC"),
    ],
    ids=["number", "another's spec", "no time zone", "another time zone"],
)
def test_nonsense_is_refused(wrong: dict[str, Any], error: str) -> None:
    sense: dict[str, Any] = {
        "name": "iris-ab",
        "number": 1,
        "action": Action.STARTED,
        "spec": IRIS,
        "source": "api",
        "caller": "",
        "why": "",
        "at": NOON,
    }
    Revision(**sense)
    with pytest.raises(ValueError, match=error):
        Revision(**{**sense, **wrong})
