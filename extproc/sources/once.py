"""Files and directories of resources, read once: what a command that ends needs, and `FileSource` is too much for.

Never raises: what can't be read is a Document with problems.
"""

from collections.abc import Sequence
from pathlib import Path

from extproc.core.offers import Document
from extproc.errors import Problem
from extproc.sources.contents import read_bytes
from extproc.sources.places import Place, survey
from extproc.wire.manifests import read


def read_once(paths: Sequence[Path]) -> tuple[Document, ...]:
    """Everything that `paths` hold now; origins are as `FileSource` gives them."""
    return tuple(map(_document, survey(paths).places))


def _document(place: Place) -> Document:
    problem = place.lost.value if place.lost else place.refusal
    if not problem:
        reading = read_bytes(place.path)
        if not reading.problem:
            return read(reading.data, place.origin)
        problem = reading.problem
    return Document(place.origin, problems=(Problem("", problem),))
