"""What can go wrong between the command line and the admin HTTP, as messages that say what to do next."""

from collections.abc import Iterable, Mapping
from typing import Final

from extproc.cli.plain import plain
from extproc.errors import ExtprocError, Problem

# By status code: what the person at the command line can do. `{name}` is the experiment's.
_NEXT: Final[Mapping[int, str]] = {
    409: "Nothing was changed. `extproc experiment list` shows who owns what.",
    412: (
        "Nothing was changed. `extproc experiment history {name}` shows what was changed since, and `extproc experiment"
        " get {name}` how it is: make your change to that, and give the new revision to --if-match."
    ),
    413: "Nothing was changed. Is this the right file? A specification has at most 1 MiB.",
    422: "Nothing was changed. Correct what is named above, and run the command again.",
    503: "Nothing was changed, and what ran before goes on. Run the command again when the reason is gone.",
    504: "`extproc experiment status {name} -w` waits for it and says what it waits for.",
    507: (
        "Nothing was changed, and what ran before goes on. Make room on the disk of extproc's --state-dir, and run the"
        " command again."
    ),
}
_NEXT_TO_A_FAULT: Final = "This is a fault of extproc; its log holds the reason."


class AdminUnreachableError(ExtprocError):
    """No answer came; `reason` says in a few words why. A change that was sent may have been made."""

    def __init__(self, url: str, reason: str, *, may_have_changed: bool = False) -> None:
        self.reason = reason
        after = (
            " Whether the change was made is not known: to run the command again is safe." if may_have_changed else ""
        )
        super().__init__(
            f"{url}: {reason}\nIs extproc running there? Start it with `extproc up`, or give the address of its admin"
            f" HTTP with --admin or EXTPROC_ADMIN.{after}"
        )


class AdminGarbledError(ExtprocError):
    """Something answered, and not as extproc's admin HTTP does."""

    def __init__(self, url: str, what: str) -> None:
        super().__init__(
            f"{url} answered, but not as extproc does: {what}\nIs that the address of extproc's admin HTTP? Give the"
            " right one with --admin or EXTPROC_ADMIN. If it is right, the two are of different versions."
        )


class AdminRefusedError(ExtprocError):
    """extproc understood and said no, with problem details (RFC 9457). `status` is the HTTP status code."""

    def __init__(self, status: int, title: str, detail: str, problems: Iterable[Problem], name: str = "") -> None:
        self.status = status
        self.title = plain(title)
        self.detail = plain(detail)
        self.problems = tuple(Problem(plain(problem.path), plain(problem.message)) for problem in problems)
        super().__init__("\n".join(self._lines(name)))

    @property
    def brief(self) -> str:
        """The refusal on one line, without what to do next."""
        return f"{self.title}: {self.detail}" if self.detail else self.title

    def _lines(self, name: str) -> Iterable[str]:
        # A detail that only repeats a problem, or strings all of them together, would say everything twice.
        repeated = any(one.message in self.detail or self.detail in one.message for one in self.problems)
        yield self.title if repeated else self.brief
        yield from (f"  {problem}" for problem in self.problems)
        following = _NEXT.get(self.status, _NEXT_TO_A_FAULT if self.status >= 500 else "")
        if following:
            yield following.format(name=name or "NAME")
