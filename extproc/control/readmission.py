"""Admission again, when one thing among thousands is other: what nobody touched is not judged once more.

Must stay true: the answer is that of `admission.admit`, whichever way it was found. Only what can't concern any other
resource is put in its predecessor's place; everything else (a new default, a rival, a file that can't be read) is for
`admit`, which looks at all of it.
"""

from collections.abc import Collection, Sequence
from itertools import compress
from operator import is_not
from typing import Final

from extproc.control.admission import Admission, Admitted, Judge, Key, admit
from extproc.core.offers import Document, Offer
from extproc.core.resources import Experiment, Kind, Model

Changes = dict[Key, Admitted | None]  # None for what is offered no more

_FEW: Final = 16  # experiments of one document that come or go; for more, all of it is judged


def readmit(
    previous: Admission, before: Sequence[Document], documents: Sequence[Document], judge: Judge = lambda _: ()
) -> Admission:
    """`admit(previous, documents, judge)`, given that `previous` is what was admitted of the documents `before`."""
    changes = _changes(previous, before, documents, judge)
    if changes is None:
        return admit(previous, documents, judge)
    return previous.amended(changes) if changes else previous


def _changes(
    previous: Admission, before: Sequence[Document], documents: Sequence[Document], judge: Judge
) -> Changes | None:
    """What is other than before; None when that can't be said without judging everything."""
    if len(before) != len(documents):
        return None
    others = list(compress(zip(before, documents, strict=True), map(is_not, before, documents)))
    changes: Changes = {}
    for was, now in others:
        if was.origin != now.origin or was.problems or now.problems:
            return None
        found: Changes | None = None
        if len(was.offers) == len(now.offers):
            found = _exchanged(previous, was, now)
        elif len(others) == 1:
            found = _come_and_gone(previous, was.offers, now.offers)
        if found is None or any(_objectionable(admitted, judge) for admitted in found.values()):
            return None
        changes |= found
    return changes


def _objectionable(admitted: Admitted | None, judge: Judge) -> bool:
    return admitted is not None and isinstance(admitted.resource, Experiment) and bool(judge(admitted.resource))


def _exchanged(previous: Admission, was: Document, now: Document) -> Changes | None:
    changes: Changes = {}
    for old, new in compress(zip(was.offers, now.offers, strict=True), map(is_not, was.offers, now.offers)):
        if old == new:
            continue
        if old.kind is None or new.resource is None or (old.kind, old.name) != (new.kind, new.name):
            return None
        key = (old.kind, old.name)
        held = previous.admitted.get(key)
        # Of two offers of one name only the one in force may be exchanged alone.
        if held is None or held.resource is not old.resource or not _alike(old, new):
            return None
        changes[key] = Admitted(new.resource, new.origin)
    return changes


def _alike(old: Offer, new: Offer) -> bool:
    """Whether the two claim the same beside their name: a default, slots of a layer, the name of a model's cluster."""
    if isinstance(old.resource, Experiment) and isinstance(new.resource, Experiment):
        return (old.resource.intercepts, old.resource.layer) == (new.resource.intercepts, new.resource.layer)
    if isinstance(old.resource, Model) and isinstance(new.resource, Model):
        return bool(old.resource.endpoints) == bool(new.resource.endpoints)
    return False


def _come_and_gone(previous: Admission, was: Collection[Offer], now: Collection[Offer]) -> Changes | None:
    """Experiments that begin or end. Where anything is refused, one of them may be what another waited for."""
    if previous.reports:
        return None
    kept = {id(offer) for offer in was} & {id(offer) for offer in now}
    gone = [offer for offer in was if id(offer) not in kept]
    come = [offer for offer in now if id(offer) not in kept]
    if len(gone) + len(come) > _FEW or not all(isinstance(o.resource, Experiment) for o in (*gone, *come)):
        return None
    changes: Changes = {(Kind.EXPERIMENT, offer.name): None for offer in gone}
    defaults = {e.intercepts for e in previous.experiments if e.intercepts}
    for offer in come:
        key = (Kind.EXPERIMENT, offer.name)
        experiment = offer.resource
        if key in changes or key in previous.admitted or not isinstance(experiment, Experiment):
            return None
        if experiment.intercepts in defaults or experiment.layer is not None:
            return None
        defaults.update({experiment.intercepts} - {""})
        changes[key] = Admitted(experiment, offer.origin)
    return changes
