"""`extproc experiment assign`: how the answers are shown; that they are right is for the end-to-end tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from extproc.cli.admin_client import AdminClient
from tests.cli.conftest import Extproc

ISSUED = "9532b923-1005-4d89-947f-38d34e28fe63"  # a cookie's value, as Envoy issues it


@pytest.fixture(autouse=True)
def answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is asked for gets iris2, by a long reason."""

    def assign(_: AdminClient, name: str, units: Sequence[str]) -> dict[str, Any]:
        why = "is in slot 929 of the layer, and the experiment owns 0 to 499"
        rows = [{"unit": unit, "candidate": "iris2", "outcome": "other_slot", "why": why} for unit in units]
        return {"name": name, "revision": 1, "assignments": rows}

    monkeypatch.setattr(AdminClient, "assign", assign)


def test_a_unit_that_envoy_issues_stays_on_one_line(extproc: Extproc) -> None:
    lines = extproc("experiment", "assign", "iris-ab", ISSUED).out.splitlines()
    assert lines[1].startswith(f"{ISSUED}  iris2      other_slot  is in"), lines
    assert max(map(len, lines)) <= 80


def test_a_unit_that_takes_the_whole_line_is_folded(extproc: Extproc) -> None:
    lines = extproc("experiment", "assign", "iris-ab", "u" * 100).out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "".join(line.split(" ")[0] for line in lines[1:]) == "u" * 100


def test_units_of_a_file_and_for_programs(extproc: Extproc, tmp_path: Path) -> None:
    file = tmp_path / "units.txt"
    file.write_text("b\n\nc d\n")
    ran = extproc("experiment", "assign", "iris-ab", "a", "-f", file, "--csv")
    assert [line.split(",")[:2] for line in ran.out.splitlines()] == [
        ["unit", "candidate"], ["a", "iris2"], ["b", "iris2"], ["c d", "iris2"],
    ]  # fmt: skip


def test_no_unit_is_a_wrong_call(extproc: Extproc) -> None:
    ran = extproc("experiment", "assign", "iris-ab")
    assert ran.code == 2
    assert "name at least one unit" in ran.err
