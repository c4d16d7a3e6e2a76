"""Environment variables that look like ours and are none: a misspelt one would be ignored without a word."""

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Final

PREFIX: Final = "EXTPROC_"
# The variables of commands that are no server's; an image or a shell may well set them for all.
OTHERS: Final = frozenset({"EXTPROC_ADMIN", "EXTPROC_CALLER", "EXTPROC_INFERENCE"})

# Kubernetes tells each pod of every Service in its namespace, also of one called `extproc`:
# https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables
_SERVICE: Final = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?)$")
_SERVICE_URL: Final = re.compile(r"(tcp|udp|sctp)://")


def unknown(environment: Mapping[str, str], known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Each variable of ours that nothing reads, with the closest one that is read, empty where none is close."""
    known = OTHERS.union(known)
    endings = sorted(name.removeprefix(PREFIX) for name in known)
    for name, value in sorted(environment.items()):
        if not name.startswith(PREFIX) or name in known or _is_of_kubernetes(name, value):
            continue
        closest = get_close_matches(name.removeprefix(PREFIX), endings, n=1, cutoff=0.7)
        yield name, PREFIX + closest[0] if closest else ""


def _is_of_kubernetes(name: str, value: str) -> bool:
    return bool(_SERVICE_URL.match(value) or _SERVICE.search(name))
