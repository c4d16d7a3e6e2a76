"""What a revision changed, in a few words: `iris 70→50, iris2 30→50, mirror iris3 10 %→off`. Pure."""

from collections.abc import Iterator

from extproc.cli.experiment_view import RevisionView, SpecView


def changes(revisions: tuple[RevisionView, ...]) -> Iterator[tuple[RevisionView, str]]:
    """Each revision with what it changed against the one before; the first one with what it began as."""
    before: SpecView | None = None
    for revision in revisions:
        yield revision, ", ".join(_begun(revision.spec) if before is None else _changed(before, revision.spec))
        before = revision.spec


def _begun(spec: SpecView) -> Iterator[str]:
    yield from (f"{name} {weight}" for name, weight in spec.weights.items())
    if spec.default:
        yield f"default {spec.default}"
    yield from (f"mirror {_copies(mirror)}" for mirror in spec.mirrors)
    yield from (f"{name} {value}" for name, value in spec.other.items())


def _changed(before: SpecView, after: SpecView) -> Iterator[str]:
    for name, weight in after.weights.items():
        if name not in before.weights:
            yield f"+{name} {weight}"
        elif before.weights[name] != weight:
            yield f"{name} {before.weights[name]}→{weight}"
    yield from (f"-{name}" for name in before.weights if name not in after.weights)
    if before.default != after.default:
        yield f"default {before.default or 'none'}→{after.default or 'none'}"
    if before.mirrors != after.mirrors:
        yield f"mirror {_mirrors(before)}→{_mirrors(after)}"
    for name in {**before.other, **after.other}:
        old, new = before.other.get(name, "unset"), after.other.get(name, "unset")
        if old != new:
            yield f"{name} {old}→{new}"


def _mirrors(spec: SpecView) -> str:
    return " + ".join(map(_copies, spec.mirrors)) or "none"


def _copies(mirror: tuple[str, float]) -> str:
    return f"{mirror[0]} {mirror[1]:g} %"
