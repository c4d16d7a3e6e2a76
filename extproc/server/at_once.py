"""ext_proc calls that are answered at once: what a message may be answered with is looked up, and a draw chooses.

Must stay true: each is answered and counted as `ext_proc.Stream` would have it, by the table that is published now;
whatever is not request headers on an intercept route, or may be traced, is left to it.
"""

from collections.abc import Mapping
from struct import Struct
from typing import Any, Final

from extproc.core.decide import chances
from extproc.core.differences import differing
from extproc.core.split import choose
from extproc.core.table import Decision, Key
from extproc.http2.grpc_methods import Matches
from extproc.http2.grpc_status import REPLY_MAX, Pieces, whole_answer
from extproc.http2.header_blocks import Metadata
from extproc.http2.request import VALUE
from extproc.names import intercepted
from extproc.server.ext_proc import ExtProc, Ledger
from extproc.wire.ext_proc import NotAProcessingRequest, Published, read

_PREFIX: Final = Struct(">BI")  # of a gRPC message

# What Envoy asks of requests without a token or a unit differs in the route alone, and comes again and again: with
# thousands of experiments each once in a while, which is when a cache of what came last would never hold it.
_KNOWN: Final = 65_536  # such messages, of three routes for each of 20,000 experiments; each of at most so many bytes
_KNOWN_SIZE: Final = 256

Chances = tuple[tuple[int, ...], tuple[tuple[Decision, Pieces], ...]]  # cumulative weights, and what they are of


class AtOnce:
    """The calls of one connection, which has a ledger of its own; `known` is shared by all of `service`."""

    __slots__ = ("_decided", "_draw", "_known", "_service")

    def __init__(self, service: ExtProc, known: "Known", ledger: Ledger) -> None:
        self._service: Final = service
        self._draw: Final = service.draw
        self._decided: Final = ledger.decisions.append
        self._known: Final = known

    def values(self, name: str, others: Metadata) -> Matches | None:
        """See `extproc.http2.grpc_methods.AtOnce`."""
        if self._service.traced:
            return self._service.untraced(name, others) if self._service.untraced else None
        return VALUE.fullmatch

    def answer(self, body: bytes) -> Pieces | None:
        """See `extproc.http2.grpc_methods.AtOnce`."""
        known, published = self._known, self._service.published
        if known.published is not published:
            known.follow(published)
        found = known.chances.get(body) or known.read(body)
        if not found:
            return None
        cumulative, choices = found
        decision, pieces = choices[choose(cumulative, self._draw())]
        self._decided(decision)
        return pieces


class Known:
    """What messages may be answered with, by the table that is followed.

    Of messages that say no more than an experiment's name, all have the same chances: one list, so that a change of the
    experiment is a change of one list, however many messages are known. It is empty until it is asked for: the change
    may be of thousands, and requests wait meanwhile.
    """

    def __init__(self) -> None:
        self.published = Published()
        self.chances: Final[dict[bytes, list[Any]]] = {}  # each is a Chances, or empty
        self._of: Final[dict[Key, list[Any]]] = {}  # the same
        self._answers: Final[dict[bytes, Pieces]] = {}

    def follow(self, published: Published) -> None:
        """From now on, `published` says what is answered."""
        for key in differing(self.published.table.entries, published.table.entries):
            if key in self._of:
                self._of[key].clear()
        self.published = published

    def read(self, body: bytes) -> Chances | list[Any] | None:
        """What this message with its prefix may be answered with; None for what `Stream` has to look at."""
        if len(body) < _PREFIX.size or _PREFIX.unpack_from(body) != (0, len(body) - _PREFIX.size):
            return None
        try:
            phase, route_name, headers, unit, bare = read(body[_PREFIX.size :])
        except NotAProcessingRequest:
            return None
        if phase != "request_headers" or not route_name:
            return None
        if not bare or len(body) > _KNOWN_SIZE:
            return self._chances(route_name, headers, unit)
        if len(self.chances) == _KNOWN and body not in self.chances:  # messages of experiments that are gone among them
            self.chances.clear()
            self._of.clear()
        self.chances[body] = known = self._of.setdefault(intercepted(route_name), [])
        if not known:
            known[:] = self._chances(route_name, headers, unit) or ()
        return known

    def _chances(self, route_name: str, headers: Mapping[str, str], unit: bytes) -> Chances | None:
        cumulative, decisions = chances(self.published.table, route_name, headers, unit)
        if any(len(self.published.reply(decision)) > REPLY_MAX - _PREFIX.size for decision in decisions):
            return None
        return cumulative, tuple((decision, self._answer(decision)) for decision in decisions)

    def _answer(self, decision: Decision) -> Pieces:
        reply = self.published.reply(decision)
        pieces = self._answers.get(reply)
        if pieces is None:
            if len(self._answers) == _KNOWN:
                self._answers.clear()
            self._answers[reply] = pieces = whole_answer(reply)
        return pieces
