"""The flags of `up` and `serve`, and their variables, as the settings they make."""

from collections.abc import Mapping

import pytest
from click.testing import CliRunner

from extproc.cli.serve import up
from extproc.settings import Settings


@pytest.mark.parametrize(
    ("flags", "environment", "outcomes"),
    [
        ([], {}, True),
        (["--no-outcomes"], {}, False),
        ([], {"EXTPROC_OUTCOMES": "false"}, False),
        (["--outcomes"], {"EXTPROC_OUTCOMES": "false"}, True),
    ],
)
def test_outcomes_can_be_switched_off(
    flags: list[str], environment: Mapping[str, str], outcomes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Settings] = []
    monkeypatch.setattr("extproc.processes.supervisor.run", lambda settings, *_: made.append(settings))
    monkeypatch.setattr("extproc.cli.serve.configure", lambda *_, **__: None)
    result = CliRunner().invoke(up, flags, env=dict(environment))
    assert result.exit_code == 0, result.output
    assert [settings.outcomes for settings in made] == [outcomes]
