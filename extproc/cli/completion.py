"""Shell completion: the scripts that shells load, and the names of experiments, asked of the admin HTTP.

Must stay true: completion is quick and says nothing when extproc can't be reached.
"""

from collections.abc import Mapping
from typing import Final

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

from extproc import names
from extproc.cli.admin_client import AdminClient
from extproc.cli.document_reader import MisfitError, Reader
from extproc.errors import ExtprocError

SHELLS: Final[Mapping[str, type[ShellComplete]]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
PROGRAM: Final = "extproc"
VARIABLE: Final = "_EXTPROC_COMPLETE"  # click's own way to make it from the program's name
WITHIN: Final = 0.5  # seconds
_SILENT: Final = (ExtprocError, MisfitError, ValueError)


@click.command()
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes extproc's commands, options and experiments in SHELL.

    \b
    bash   add to ~/.bashrc:   eval "$(extproc completion bash)"
    zsh    add to ~/.zshrc:    eval "$(extproc completion zsh)"
    fish   run once:           extproc completion fish > ~/.config/fish/completions/extproc.fish
    """
    click.echo(SHELLS[shell](ctx.find_root().command, {}, PROGRAM, VARIABLE).source())


def experiment_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of experiments that begin with what was typed, each with its state."""
    try:
        document = _admin(ctx).experiments()
        found = [(item.text("name"), item.text("state", "")) for item in Reader(document).each("experiments")]
    except _SILENT:
        return []
    return [
        CompletionItem(name, help=state)
        for name, state in found
        if name.startswith(incomplete) and names.RESOURCE_NAME.fullmatch(name)
    ]


def revision_numbers(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The revisions of the experiment that was named, each with what was done and why."""
    try:
        document = _admin(ctx).history(ctx.params["name"])
        found = [
            (str(item.whole("revision")), f"{item.text('action')} {item.text('why', '')}".strip())
            for item in Reader(document).each("revisions")
        ]
    except _SILENT:
        return []
    return [CompletionItem(number, help=done) for number, done in found if number.startswith(incomplete)]


def _admin(ctx: click.Context) -> AdminClient:
    """The admin HTTP that the line names so far. Raises ValueError where it names none that can be read."""
    return AdminClient(ctx.params.get("admin") or "", WITHIN)
