"""The clusters that Envoy runs, kept on disk for the extproc that comes after this one.

An Envoy that reconnects tells the version of its clusters, not what they are. Must stay true: what is read back is used
only where its version is the one that Envoy tells, so a file that is old, missing or damaged costs nothing but the
knowledge.
"""

import base64
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

log: Final = logging.getLogger(__name__)

NAME: Final = "clusters.json"


def remember(state_dir: Path, clusters: Mapping[str, bytes]) -> None:
    """Write serialised clusters by name; a failure is logged, since routing does not depend on it.

    Nobody else can read the file: a user's Cluster may hold a private key.
    """
    text = json.dumps({name: base64.b64encode(body).decode() for name, body in clusters.items()})
    new = state_dir / f".{NAME}.new"
    try:
        new.unlink(missing_ok=True)
        new.touch(mode=0o600)
        new.write_text(text)
        os.replace(new, state_dir / NAME)  # noqa: PTH105 - atomic on POSIX, as its documentation promises
    except OSError as error:
        log.warning("what Envoy runs can't be kept in %s: %s", state_dir, error.strerror)


def recall(state_dir: Path) -> Mapping[str, bytes]:
    """What was written last; nothing where that can't be read."""
    try:
        found = json.loads((state_dir / NAME).read_text())
        return {str(name): base64.b64decode(body, validate=True) for name, body in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        log.warning("what Envoy ran before can't be read from %s: %s", state_dir / NAME, error)
        return {}
