"""The file that `experiment start -f` takes: a Seldon manifest, an Experiment, or a DiscoveryResponse of experiments.

It is judged here, by the code that serves, so that the paths of problems are those of the file, and so that of a file
with one mistake nothing is started.
"""

from collections.abc import Iterator
from typing import Final

from extproc.cli.plain import plain
from extproc.core.offers import Document, Offer
from extproc.core.resources import Experiment, Kind
from extproc.errors import ExtprocError, Problem
from extproc.wire.manifests import read

_BELONGS: Final = (
    "put models into the --resources file of `extproc up` or `extproc serve`: only experiments are started"
)
_FOREIGN: Final = "put Envoy's own resources into the --resources file: only experiments are started"
_INSTEAD: Final = {Kind.MODEL: _BELONGS, Kind.CLUSTER: _FOREIGN, Kind.ROUTES: _FOREIGN, Kind.FILTER: _FOREIGN}


class NotStartableError(ExtprocError):
    """A file holds something else than valid experiments; the message lists all of it."""


def read_experiments(data: bytes, origin: str) -> tuple[Experiment, ...]:
    """Every experiment of a file, at least one, each of another name. Raises NotStartableError.

    `origin` names the file in messages; its suffix tells JSON from YAML.
    """
    document = read(data, origin, untyped=True)  # that it is an experiment goes without saying here
    experiments = [offer.resource for offer in document.offers if isinstance(offer.resource, Experiment)]
    wrong = list(_wrong(document))
    if not wrong and not experiments:
        wrong = ["holds no experiment"]
    if wrong:
        count = "1 problem" if len(wrong) == 1 else f"{len(wrong)} problems"
        listed = "\n".join(f"  {line}" for line in wrong)
        raise NotStartableError(
            f"{plain(origin)}: {count}, nothing was started\n{listed}\nCorrect it and start it again."
        )
    return tuple(experiments)


def _wrong(document: Document) -> Iterator[str]:
    yield from (plain(str(problem)) for problem in document.problems)
    first: dict[str, Offer] = {}
    for offer in document.offers:
        kind = offer.kind.word if offer.kind else ""
        what = f"{kind} {offer.name or offer.where}".strip() or offer.where
        problems = offer.problems
        if offer.kind in _INSTEAD:
            problems = (Problem("", _INSTEAD[offer.kind]),)
        elif offer.name and first.setdefault(offer.name, offer) is not offer:
            places = f"{first[offer.name].where} and {offer.where}"
            problems = (*problems, Problem("name", f"stands in this file twice ({places}): keep one"))
        yield from (plain(f"{what}: {problem}" if what else str(problem)) for problem in problems)
