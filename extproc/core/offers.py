"""What a source hands over: each resource as it was read, valid or not, with where it stands.

An Offer is data about a reading, never raised. `control.admission` judges offers beside each other.
"""

from dataclasses import dataclass

from extproc.core.resources import Kind, Resource
from extproc.errors import Problem


@dataclass(frozen=True, slots=True)
class Offer:
    """One resource of one document.

    `name` is empty when none could be read. `where` is its place in its file (`resources[2]`, `document 2`), empty
    when the file holds just this resource. `resource` is None exactly when there are `problems`.
    """

    origin: str
    where: str
    kind: Kind | None
    name: str
    resource: Resource | None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """Everything that one file (or one request body) holds; `problems` speak of the file as a whole.

    With problems there are no offers: a file that can't be read to its end is not read at all.
    """

    origin: str
    offers: tuple[Offer, ...] = ()
    problems: tuple[Problem, ...] = ()
