"""What `-o` asks for, written to stdout: JSON and YAML for programs, rich's renderables for people.

Must stay true: no escape codes without a terminal, 80 columns when nothing else is known, and no text of any language
makes a terminal of another encoding fail.
"""

import codecs
import io
import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

_NARROWEST: Final = 80  # columns; in fewer, tables fold names beyond recognition, while a terminal wraps whole lines
_WIDE: Final = 1000  # columns; wider than any line, so that a pipe gets each row on one
_ERRORS: Final = "extproc-stand-in"
_STAND_INS: Final = {"█": "#", "░": ".", "→": ">", "…": "~"}  # each as wide as what it stands for


class Output(StrEnum):
    """How to print."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"
    WIDE = "wide"

    @property
    def for_programs(self) -> bool:
        return self in (Output.JSON, Output.YAML)


def write_document(document: Any, output: Output) -> None:
    """`document` as it is, in JSON, or in YAML when that is asked for."""
    click.echo(_yaml(document) if output is Output.YAML else json.dumps(document, indent=2))


def write_table(shown: "RenderableType", output: Output) -> None:
    """`shown` as wide as the terminal but never under 80 columns, or `wide` without one as wide as it needs to be."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    console.width = max(console.width, _NARROWEST)
    if output is Output.WIDE and not console.is_terminal:
        console.width = _WIDE
    with console.capture() as capture:
        console.print(shown)
    # Columns are filled up to their width; without a terminal nobody needs the blanks at the end of a line.
    lines = capture.get().split("\n")
    write_line("\n".join(lines if console.is_terminal else (line.rstrip() for line in lines)).removesuffix("\n"))


def write_line(text: str) -> None:
    """`text` and the end of its line, in whatever encoding stdout has."""
    _survive_any_text(sys.stdout)
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _yaml(document: Any) -> str:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 2**16  # a folded text reads back equal, and can't be found with grep
    yaml.allow_unicode = False  # as in JSON: what every terminal can show, and nothing that can move its cursor
    text = io.StringIO()
    yaml.dump(document, text)
    return text.getvalue().removesuffix("\n")


def _survive_any_text(stream: Any) -> None:
    """Let `stream` replace what its encoding does not have."""
    if not stream.encoding.lower().startswith("utf") and hasattr(stream, "reconfigure"):
        codecs.register_error(_ERRORS, _stand_in)
        stream.reconfigure(errors=_ERRORS)


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):  # it is registered for writing alone
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_STAND_INS.get(character, "?") for character in lost), error.end
