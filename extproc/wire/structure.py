"""What proto3 JSON allows for a message: every problem of a value, judged by the message's descriptor.

google.protobuf.json_format stops at the first problem and speaks of messages; this walks the whole value and speaks of
the user's file. Where something is wrong it takes that node out of the copy it makes, so that json_format, which stays
the authority on conversion, can read the rest. https://protobuf.dev/programming-guides/json/
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from extproc.errors import Problem
from extproc.wire.scalars import FILLERS, READERS, Wrong, duration
from extproc.wire.values import Json, doubled, flaws, shown, step

_STRUCT: Final = "google.protobuf.Struct"
_DURATION: Final = "google.protobuf.Duration"


@dataclass(frozen=True, slots=True)
class Gap:
    """A place where something is wrong, so that nothing can be concluded from what is (not) there.

    `at` is its path in the spelling of the schema; the problem's own path is spelled as in the user's file.
    """

    at: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class Reading:
    """A value read against a descriptor: `fields` is fit for json_format, `spelled` maps schema paths to the user's."""

    fields: Mapping[str, Json]
    gaps: tuple[Gap, ...]
    spelled: Mapping[str, str]


def read_message(descriptor: Descriptor, value: dict[str, Json]) -> Reading:
    """Read `value` as the message of `descriptor`. Total for values of JSON."""
    walk = _Walk()
    fields = walk.message(descriptor, value, "", "")
    return Reading(fields, tuple(walk.gaps), walk.spelled)


def unknown(key: str, known: Mapping[str, str], owner: str) -> tuple[str, str]:
    """The message about a key that `owner` does not have, and the field that was probably meant (or "").

    `known` maps every spelling of a field to its name.
    """
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"is no field of {owner}: did you mean {close[0]!r}?", known[close[0]]
    return f"is no field of {owner}: it has {', '.join(dict.fromkeys(known.values()))}", ""


@cache
def _fields(descriptor: Descriptor) -> tuple[Mapping[str, FieldDescriptor], Mapping[str, str]]:
    """A message's fields by name, and the name that each spelling stands for."""
    spellings = {spelling: f.name for f in descriptor.fields for spelling in (f.name, f.json_name)}
    return {f.name: f for f in descriptor.fields}, spellings


@dataclass(slots=True)
class _Walk:
    """One walk over one value; `spelled` and `gaps` grow on the way."""

    gaps: list[Gap] = field(default_factory=list)
    spelled: dict[str, str] = field(default_factory=dict)

    def message(self, descriptor: Descriptor, value: dict[str, Json], at: str, path: str) -> dict[str, Json]:
        """`at` and `path` are the message's own place, in the schema's spelling and in the user's."""
        fields_of, names = _fields(descriptor)
        fields: dict[str, Json] = {}
        first: dict[str, str] = {}
        chosen: dict[str, str] = {}  # of each oneof
        for key, item in value.items():
            here = step(path, key)
            if key not in names:
                message, meant = unknown(key, names, descriptor.name)
                self._gap(step(at, meant or key), here, message)
                continue
            name = names[key]
            there = step(at, name)
            self.spelled.setdefault(there, here)
            if key in doubled(value):
                self._gap(there, here, "is given twice: keep one")
            elif name in first:
                self._gap(there, here, f"is given as {first[name]!r} already: keep one of the two")
                fields.pop(name, None)
            elif item is not None:  # null means absent
                group = fields_of[name].containing_oneof
                rival = chosen.setdefault(group.name, key) if group else key
                if rival == key:
                    self._into(fields, fields_of[name], item, there, here)
                else:
                    self._gap(there, here, f"stands beside {rival!r}: keep one")
            first.setdefault(name, key)
        return fields

    def _into(self, fields: dict[str, Json], of: FieldDescriptor, item: Json, at: str, path: str) -> None:
        try:
            fields[of.name] = self._list(of, item, at, path) if of.is_repeated else self._one(of, item, at, path)
        except Wrong as wrong:
            self._gap(at, path, str(wrong))

    def _list(self, of: FieldDescriptor, value: Json, at: str, path: str) -> list[Json]:
        if not isinstance(value, list):
            raise Wrong(f"must be a list, not {shown(value)}")
        items: list[Json] = []
        for i, item in enumerate(value):
            place = f"{at}[{i}]"
            self.spelled[place] = f"{path}[{i}]"
            try:
                items.append(self._one(of, item, place, f"{path}[{i}]"))
            except Wrong as wrong:
                # Something must stand here, or the places of all that follow would shift.
                items.append({} if of.message_type else FILLERS[of.cpp_type])
                self._gap(place, f"{path}[{i}]", str(wrong))
        return items

    def _one(self, of: FieldDescriptor, value: Json, at: str, path: str) -> Json:
        message: Descriptor | None = of.message_type
        if message is None:
            return READERS[of.cpp_type](value, of)
        if message.full_name == _DURATION:
            return duration(value)
        if not isinstance(value, dict):
            raise Wrong(f"must be an object, not {shown(value)}")
        if message.full_name == _STRUCT:
            return self._struct(value, at, path)
        return self.message(message, value, at, path)

    def _struct(self, value: dict[str, Json], at: str, path: str) -> dict[str, Json]:
        """Any object, as far as it is well-formed."""
        problems = tuple(flaws(value, path))
        self.gaps += [Gap(at, problem) for problem in problems]
        return {} if problems else value

    def _gap(self, at: str, path: str, message: str) -> None:
        self.gaps.append(Gap(at, Problem(path, message)))


def leading_to(at: str) -> Iterator[str]:
    """`at` and every place around it, from the inside out: `a[0].b`, `a[0]`, `a`."""
    while at:
        yield at
        at = at[: max(at.rfind("."), at.rfind("["), 0)]


def unaffected(problems: Iterable[Problem], gaps: Iterable[Gap]) -> list[Problem]:
    """The problems, spelled as in the schema, that are not just what a gap looks like to a rule."""
    at = {gap.at for gap in gaps}
    around = {place for gap in at for place in leading_to(gap)}
    return [p for p in problems if p.path not in around and not any(place in at for place in leading_to(p.path))]


def respelled(at: str, spelled: Mapping[str, str]) -> str:
    """A schema path in the user's spelling, as far as the user spelled it."""
    known = next((place for place in leading_to(at) if place in spelled), "")
    return spelled[known] + at[len(known) :] if known else at
