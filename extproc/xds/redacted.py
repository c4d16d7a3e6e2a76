"""What Envoy says when it refuses a resource, fit to be logged and shown: one line, and no secret in it.

Envoy prints the whole resource that fails validation, with private keys and passwords that stand in it. Must stay true:
of such a dump only the numbers and the texts that name or match something remain, and of a script and of a header's
value nothing.
"""

import re
from typing import Final

# Protobuf's text format begins with a marker where it is printed for people
# (https://protobuf.dev/programming-guides/deserialize-debug/).
_DUMP: Final = re.compile(r"goo\.gle/debug\w+\s*")
_TEXT: Final = re.compile(r'(\w+): "((?:[^"\\]|\\.)*)"?')
_SHOWN: Final = frozenset({"name", "cluster_name", "cluster", "address", "prefix", "path", "regex"})
_HIDDEN: Final = "…"
# How Lua names a script that has no name: by its first line (lua.org/manual/5.1, luaO_chunkid).
_SCRIPT: Final = re.compile(r'\[string ".*?"\]:')
# What Lua found where something else should be (luaX_lexerror), a key of api_key_auth, and a header's value that Envoy
# can't format.
_QUOTED: Final = re.compile(r"(?s)( near |credential key: )'.*'|(Incorrect configuration: )(?:.*(?=\. [A-Z])|.*)")


def redacted(message: str) -> str:
    """Envoy's message in one line, each text of a dumped resource replaced unless it is a name or matches requests."""
    said, *dumps = _DUMP.split(_SCRIPT.sub("line ", message))
    said = _QUOTED.sub(lambda found: (found[1] or found[2]) + _HIDDEN, said)
    return " ".join("".join([said, *map(_without_texts, dumps)]).split())


def _without_texts(dump: str) -> str:
    return _TEXT.sub(lambda found: found[0] if found[1] in _SHOWN else f'{found[1]}: "{_HIDDEN}"', dump)
