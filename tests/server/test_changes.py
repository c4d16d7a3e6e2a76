"""Changes, one at a time: what files have changed becomes revisions."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from extproc.control.store import Action, Store
from extproc.errors import StoreUnwritable
from extproc.server.changes import Changes
from tests.control.test_admission import valid
from tests.control.test_lifecycle import FILES, Stage, trial


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    built = Stage(tmp_path)
    yield built
    built.store.close()


def test_the_files_are_recorded_at_once_where_nobody_waits(stage: Stage) -> None:
    changes = Changes(stage.lifecycle, stage.plane)
    stage.plane.offer(FILES, [valid("trials.json", trial())])
    changes.record_files()
    assert stage.lifecycle.observe() == []
    assert stage.plane.state.revisions == {"ab": 1}
    assert [revision.number for revision in stage.lifecycle.history("ab")] == [1]
    stage.plane.offer(FILES, [valid("trials.json", trial(weight=5))])
    with patch.object(Store, "record_all", side_effect=StoreUnwritable("disk full")):
        changes.record_files()
    assert [draft.action for draft in stage.lifecycle.observe()] == [Action.UPDATED], "it is tried again"
