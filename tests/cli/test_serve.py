"""The flags of `up` and `serve`, and their variables, as the settings they make."""

from collections.abc import Mapping

import pytest
from click.testing import CliRunner, Result

from extproc.cli.serve import up
from extproc.errors import InvalidSettings
from extproc.settings import Settings


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Takes the settings that `up` would run with."""
    made: list[Settings] = []
    monkeypatch.setattr("extproc.processes.supervisor.run", lambda settings, *_: made.append(settings))
    monkeypatch.setattr("extproc.cli.serve.configure", lambda *_, **__: None)
    return made


def call(flags: list[str], environment: Mapping[str, str]) -> Result:
    return CliRunner().invoke(up, flags, env=dict(environment))


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
    flags: list[str], environment: Mapping[str, str], outcomes: bool, made: list[Settings]
) -> None:
    result = call(flags, environment)
    assert result.exit_code == 0, result.output
    assert [settings.outcomes for settings in made] == [outcomes]


@pytest.mark.parametrize(
    ("flags", "environment", "milliseconds"),
    [
        ([], {}, 200),
        (["--message-timeout", "50"], {}, 50),
        ([], {"EXTPROC_MESSAGE_TIMEOUT": "2000"}, 2000),
    ],
)
def test_how_long_a_request_waits_can_be_said(
    flags: list[str], environment: Mapping[str, str], milliseconds: int, made: list[Settings]
) -> None:
    result = call(flags, environment)
    assert result.exit_code == 0, result.output
    assert [settings.message_timeout for settings in made] == [milliseconds]


@pytest.mark.parametrize("milliseconds", [0, 9, 2001])
def test_a_request_waits_neither_for_nothing_nor_for_seconds(milliseconds: int) -> None:
    result = call(["--message-timeout", str(milliseconds)], {})
    assert result.exit_code == 2
    assert "'--message-timeout'" in result.output
    with pytest.raises(InvalidSettings, match="--message-timeout"):
        Settings(message_timeout=milliseconds)
