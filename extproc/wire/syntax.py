"""A file's bytes as JSON's values: is it text, is it JSON or YAML, and where does it stop being that.

JSON is read as JSON and not as the YAML it also is: its errors are JSON's, and it is a hundred times faster.
"""

import json
from pathlib import PurePath
from typing import Final

from extproc.wire.values import Json, Unreadable, json_object

_BOM: Final = "\ufeff"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


def documents(text: str | bytes, origin: str) -> list[Json]:
    """Every document in `text`; one without content is None. Raises Unreadable.

    A name in `origin` that ends with .json means JSON; with .yaml or .yml, YAML; else the first character decides.
    """
    text = _decoded(text) if isinstance(text, bytes) else text.removeprefix(_BOM)
    begin = text.lstrip()[:1]
    if not begin:
        return []
    suffix = PurePath(origin).suffix.lower()
    looks_json = begin in ("{", "[")
    if suffix == ".json" or (looks_json and suffix not in (".yaml", ".yml")):
        return [_json(text)]
    if looks_json:
        try:
            return [_json(text)]
        except Unreadable:
            pass  # YAML's own braces, or several documents
    from extproc.wire import yaml12  # who writes JSON does not load a reader of YAML

    return yaml12.documents(text)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if data.startswith(_UTF16):
            raise Unreadable("is UTF-16: save it as UTF-8") from error
        line = data.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"line {line}: byte 0x{data[error.start]:02x} is no UTF-8: save the file as UTF-8") from error


def _json(text: str) -> Json:
    try:
        return json.loads(text, object_pairs_hook=json_object)
    except json.JSONDecodeError as error:
        raise Unreadable(f"line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise Unreadable("is nested too deeply") from error
    except ValueError as error:  # Python reads no integer of more than 4,300 digits
        raise Unreadable("holds a number of too many digits") from error
