"""Route tokens kept between two runs of the command, one small file for each inference URL and model.

A file is replaced by a rename, so that a reader or a crash never sees half of one. What can't be read as a token is
no token: the next request is assigned afresh, as it is for any stale token.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from extproc.errors import ExtprocError

_TOKENS: Final = re.compile(r"[\x21-\x7e]{1,4096}")


class RouteNotKeptError(ExtprocError):
    """There is no state folder of the user's, or it can't be written."""


def state_folder(environment: Mapping[str, str]) -> Path:
    """Where state of this user is kept. Raises RouteNotKeptError for a user without a home.

    XDG Base Directory Specification: a relative path in XDG_STATE_HOME is to be ignored.
    """
    given = Path(environment.get("XDG_STATE_HOME", ""))
    if given.is_absolute():
        return given / "extproc"
    try:
        home = Path(environment.get("HOME") or "~").expanduser()
    except RuntimeError as error:
        raise RouteNotKeptError("there is no home folder to keep the route token in: set XDG_STATE_HOME") from error
    return home / ".local" / "state" / "extproc"


class KeptRoutes:
    """The tokens under `folder`, which is made when the first one is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder: Final = folder / "routes"

    def read(self, url: str, model: str) -> str:
        """The token kept for a model behind an inference URL; empty when there is none."""
        try:
            kept = json.loads(self._file(url, model).read_bytes())
        except (OSError, ValueError):
            return ""
        route = kept.get("route") if isinstance(kept, dict) else None
        return route if isinstance(route, str) and _TOKENS.fullmatch(route) else ""

    def keep(self, url: str, model: str, route: str) -> None:
        """Keep `route` until another is kept. Raises RouteNotKeptError."""
        file = self._file(url, model)
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.NamedTemporaryFile("w", dir=self._folder, prefix=".", delete=False) as fresh:
                try:
                    json.dump({"inference": url, "model": model, "route": route}, fresh, indent=2)
                    fresh.flush()
                    os.fsync(fresh.fileno())
                    Path(fresh.name).replace(file)
                except BaseException:
                    Path(fresh.name).unlink(missing_ok=True)
                    raise
        except OSError as error:
            raise RouteNotKeptError(
                f"the route token can't be kept in {self._folder} ({error.strerror}): make it writable, or set"
                " XDG_STATE_HOME to a folder that is"
            ) from error

    def _file(self, url: str, model: str) -> Path:
        # Both may hold characters, and be longer, than a file name may.
        return self._folder / f"{hashlib.sha256(f'{url} {model}'.encode()).hexdigest()[:32]}.json"
