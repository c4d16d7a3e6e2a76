"""Bodies that name no model, as docs/bodies.md tells of them, with what is sent and what the page says is answered."""

import gzip
import re
from typing import Final

from tests.test_packaging import ROOT

UNREADABLE: Final[dict[str, list[tuple[bytes, dict[str, str]]]]] = {
    "nothing in it": [(b"", {})],
    "something else than one JSON object in UTF-8": [
        (b"model=qwen", {"content-type": "application/x-www-form-urlencoded"}),
        (b'{"model": "qwen"', {}),
        (b'{"model": "qwen"}{}', {}),
        (b'["model", "qwen"]', {}),
        (b'{"model": "qwen", "x": ' + b"[" * 1_000_000, {}),
        ('{"model": "qwen"}'.encode("utf-16"), {"content-type": "application/json; charset=utf-16"}),
    ],
    "no `model`, or an empty one": [(b'{"messages": [{"model": "qwen"}]}', {}), (b'{"model": ""}', {})],
    "a `model` that is no text": [(b'{"model": 4}', {}), (b'{"model": null}', {}), (b'{"model": ["qwen"]}', {})],
    "two of `model`, also where escapes (`\\u006dodel`) hide one": [
        (b'{"model": "qwen", "model": "llama"}', {}),
        (b'{"model": "qwen", "\\u006dodel": "qwen"}', {}),
    ],
    "more than 1,000 members": [(b'{"model": "qwen"' + b', "x": 0' * 1000 + b"}", {})],
    "a `model` that nothing has, or another API's": [
        (b'{"model": "gpt"}', {}),
        (b'{"model": "iris"}', {}),
        (b'{"model": "\xc3\xa9\\r\\nx-y: z"}', {}),
        (b'{"model": "' + b"x" * 100_000 + b'"}', {}),
        (b'{"model": "qwen"}', {"seldon-model": "gpt"}),
    ],
    "a `content-encoding`, but for `identity`": [(gzip.compress(b'{"model": "qwen"}'), {"content-encoding": "gzip"})],
    "more than 64 MiB": [],  # see test_openai.test_what_is_too_large_is_refused
}
TOLD: Final = {
    what: (int(status), code.strip("`") or None)
    for what, status, code in re.findall(
        r"^\| (.+?) \| (4\d\d) \| ?(\S*) ?\|$", (ROOT / "docs" / "bodies.md").read_text(), re.MULTILINE
    )
}
