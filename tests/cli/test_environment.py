"""A misspelt EXTPROC_… variable is found, with what was meant; what others set is left alone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from extproc.cli import command
from extproc.cli.environment import OTHERS, unknown
from extproc.cli.serve import VARIABLES
from tests.harness.extproc import RunningExtproc


@pytest.mark.parametrize(
    ("name", "closest"),
    [
        ("EXTPROC_AMDIN_PORT", "EXTPROC_ADMIN_PORT"),
        ("EXTPROC_RESOURCE", "EXTPROC_RESOURCES"),
        ("EXTPROC_STATEDIR", "EXTPROC_STATE_DIR"),
        ("EXTPROC_COLOUR", ""),
        ("EXTPROC_", ""),
    ],
)
def test_what_nothing_reads_is_named_with_what_is_closest(name: str, closest: str) -> None:
    assert list(unknown({name: "1", "EXTPROC_ADMIN_PORT": "1", "OTHER": "1"}, VARIABLES)) == [(name, closest)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXTPROC_SERVICE_HOST", "10.0.0.1"),
        ("EXTPROC_SERVICE_PORT", "50051"),
        ("EXTPROC_SERVICE_PORT_GRPC", "50051"),
        ("EXTPROC_PORT", "tcp://10.0.0.1:50051"),
        ("EXTPROC_PORT_50051_TCP", "tcp://10.0.0.1:50051"),
        ("EXTPROC_PORT_50051_TCP_ADDR", "10.0.0.1"),
        ("EXTPROC_LAB_PORT_50051_TCP_PROTO", "tcp"),
    ],
)
def test_what_kubernetes_says_of_a_service_called_extproc_is_no_mistake(name: str, value: str) -> None:
    assert list(unknown({name: value}, VARIABLES)) == []


def variables(group: click.Command) -> Iterator[str]:
    """Every EXTPROC_… variable that a command or one below it reads."""
    for parameter in group.params:
        yield from [parameter.envvar] if isinstance(parameter.envvar, str) else parameter.envvar or ()
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            below = group.get_command(context, name)
            assert below
            yield from variables(below)


def test_every_variable_of_every_command_is_known() -> None:
    found = set(variables(command))
    assert "EXTPROC_ADMIN_PORT" in found
    assert found == OTHERS | VARIABLES


def test_it_is_said_when_extproc_starts(start_extproc: Callable[..., RunningExtproc], tmp_path: Path) -> None:
    resources = tmp_path / "resources.json"
    resources.write_text('{"resources": []}')
    misspelt = {"EXTPROC_AMDIN_PORT": "1", "EXTPROC_COLOUR": "red"}
    log = start_extproc("serve", "--resources", resources, environment=misspelt).log
    assert "the environment variable EXTPROC_AMDIN_PORT is not known: did you mean EXTPROC_ADMIN_PORT?\n" in log
    assert "the environment variable EXTPROC_COLOUR is not known\n" in log
