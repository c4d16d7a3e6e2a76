"""What Envoy says when it refuses a resource, fit to be logged and shown: one line, and no secret in it.

Envoy prints the whole resource that fails validation, with private keys and passwords that stand in it. Must stay true:
of such a dump only the numbers and the texts that name or match something remain.
"""

import re
from typing import Final

# Protobuf's text format begins with a marker where it is printed for people
# (https://protobuf.dev/programming-guides/deserialize-debug/).
_DUMP: Final = re.compile(r"goo\.gle/debug\w+\s*")
_TEXT: Final = re.compile(r'(\w+): "((?:[^"\\]|\\.)*)"?')
_SHOWN: Final = frozenset({"name", "cluster_name", "cluster", "address", "prefix", "path", "regex"})
_HIDDEN: Final = "…"


def redacted(message: str) -> str:
    """Envoy's message in one line, each text of a dumped resource replaced unless it is a name or matches requests."""
    said, *dumps = _DUMP.split(message)
    return " ".join("".join([said, *map(_without_texts, dumps)]).split())


def _without_texts(dump: str) -> str:
    return _TEXT.sub(lambda found: found[0] if found[1] in _SHOWN else f'{found[1]}: "{_HIDDEN}"', dump)
