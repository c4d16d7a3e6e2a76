"""YAML 1.2 text as JSON's values: what JSON can't say (dates, sets, objects of a language) does not come out of here.

Built on the parser's events and not on its constructor, so that plain scalars follow the core schema alone
(https://yaml.org/spec/1.2.2/#103-core-schema: `no` is a string), no tag makes an object, and neither deep nesting nor
aliases of aliases cost more than a bounded amount of work.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from extproc.wire.values import DEPTH_MAX, Json, Unreadable, json_object

_ALIASED_MAX: Final = 100_000  # values that aliases stand for, in one text
_DIGITS_MAX: Final = 400  # more than any double has; Python itself reads no decimal integer above 4,300
_PLAIN_TAGS: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "int", "float", "bool", "null"))
_STRING_TAGS: Final = frozenset({"!", "tag:yaml.org,2002:str"})

_WORDS: Final[dict[str, Json]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def documents(text: str) -> list[Json]:
    """Every document of `text`, in order; an empty one is None. Raises Unreadable."""
    reader = _Reader()
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            reader.take(event)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark is None:
            raise Unreadable(error.problem or "is not YAML") from error
        _refuse(mark, _explained(str(error.problem or error.context)))
    except YAMLError as error:  # the reader's own: a character that YAML does not allow
        raise Unreadable(" ".join(str(error).split())) from error
    return reader.documents


@dataclass(slots=True)
class _Open:
    """A mapping (`pairs` of key and value) or sequence whose end has not come yet; `size` counts what is in it."""

    anchor: str | None
    mapping: bool
    mark: Any
    items: list[Json] = field(default_factory=list)
    pairs: list[tuple[str, Json]] = field(default_factory=list)
    key: str | None = None
    size: int = 1

    @property
    def awaits_key(self) -> bool:
        return self.mapping and self.key is None

    def value(self) -> Json:
        return json_object(self.pairs) if self.mapping else self.items


class _Reader:
    """Builds the documents out of events, without recursion."""

    __slots__ = ("_aliased", "_anchors", "_open", "documents")

    def __init__(self) -> None:
        self.documents: list[Json] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Json, int]] = {}
        self._aliased = 0

    def take(self, event: Any) -> None:
        match event:
            case DocumentStartEvent():
                self._anchors.clear()  # an anchor ends with its document
            case MappingStartEvent() | SequenceStartEvent():
                self._begin(event)
            case CollectionEndEvent():
                ended = self._open.pop()
                self._put(ended.value(), ended.size, ended.anchor, ended.mark)
            case AliasEvent():
                self._alias(event)
            case ScalarEvent():
                self._scalar(event)
            case _:
                pass  # the start and end of the stream and the end of a document say nothing

    def _begin(self, event: Any) -> None:
        if event.tag not in _PLAIN_TAGS | {None, "!"}:
            _refuse(event.start_mark, f"the tag {event.tag} is not read: leave it out")
        if len(self._open) == DEPTH_MAX:
            _refuse(event.start_mark, f"is nested deeper than {DEPTH_MAX} levels")
        self._open.append(_Open(event.anchor, isinstance(event, MappingStartEvent), event.start_mark))

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            _refuse(event.start_mark, f"*{event.anchor} refers to nothing that stands complete before it")
        value, size = self._anchors[event.anchor]
        self._aliased += size
        if self._aliased > _ALIASED_MAX:
            _refuse(event.start_mark, f"aliases stand for more than {_ALIASED_MAX} values: write them out")
        self._put(value, size, None, event.start_mark)

    def _scalar(self, event: Any) -> None:
        if self._open and self._open[-1].awaits_key:
            self._open[-1].key = event.value  # JSON's keys are strings, whatever they look like
            if event.anchor:
                self._anchors[event.anchor] = (event.value, 1)
            return
        if event.tag in _STRING_TAGS or (event.tag is None and event.style):
            value: Json = event.value
        elif event.tag is None or event.tag in _PLAIN_TAGS:
            value = _plain(event)
        else:
            _refuse(event.start_mark, f"the tag {event.tag} is not read: leave it out")
        self._put(value, 1, event.anchor, event.start_mark)

    def _put(self, value: Json, size: int, anchor: str | None, mark: Any) -> None:
        if anchor:
            self._anchors[anchor] = (value, size)
        if not self._open:
            self.documents.append(value)
            return
        parent = self._open[-1]
        parent.size += size
        if not parent.mapping:
            parent.items.append(value)
        elif parent.key is not None:
            parent.pairs.append((parent.key, value))
            parent.key = None
        else:
            _refuse(mark, "a key must be a plain text")


def _plain(event: Any) -> Json:
    text: str = event.value
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        if len(text) > _DIGITS_MAX:
            _refuse(event.start_mark, "a number has too many digits")
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _explained(problem: str) -> str:
    if "'@'" in problem:
        return f'{problem}: put "@type" in quotes'
    return problem


def _refuse(mark: Any, message: str) -> NoReturn:
    raise Unreadable(f"line {mark.line + 1}, column {mark.column + 1}: {message}")
