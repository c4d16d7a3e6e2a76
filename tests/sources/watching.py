"""A file source that is being watched, what it tells, and the changes that tests make under it."""

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import pytest

from extproc.core.offers import Document
from extproc.sources import files
from extproc.sources.files import FileSource
from extproc.sources.places import Lost
from tests.harness.waiting import eventually_async

Seen = dict[str, list[str]]

MISSING: Final = Lost.MISSING.value
PATIENCE: Final = 30  # seconds until something is told on a machine that has much else to do; how soon is a test's own


def text(*names: str) -> str:
    """A file that defines a Model for each name."""
    kind = "type.googleapis.com/extproc.v1.Model"
    return json.dumps({"resources": [{"@type": kind, "name": n, "endpoints": ["127.0.0.1:1"]} for n in names]})


def shown(documents: tuple[Document, ...]) -> Seen:
    """Per file (its name alone) the names it offers, or its problems."""
    return {
        Path(d.origin).name: [p.message for p in d.problems] + [offer.name for offer in d.offers] for d in documents
    }


def replace(file: Path, content: str) -> None:
    """The atomic rename."""
    aside = file.with_name(f".{file.name}.new")
    aside.write_text(content)
    aside.replace(file)


def directories(models: dict[str, str], under: Path) -> None:
    """A directory for each name, with one file, a.json, that offers the model."""
    for name, model in models.items():
        (under / name).mkdir(parents=True)
        (under / name / "a.json").write_text(text(model))


def swap(directory: Path, new: Path) -> None:
    directory.rename(directory.with_name("old"))
    new.rename(directory)


def publish_config_map(mount: Path, version: str, **content: str) -> None:
    """What the kubelet does (k8s.io/kubernetes/pkg/volume/util/atomic_writer.go): write aside, swap ..data, tidy up."""
    (mount / version).mkdir()
    for name, value in content.items():
        (mount / version / f"{name}.json").write_text(value)
    last = mount / "..data"
    old = last.resolve() if last.is_symlink() else None
    (mount / "..data_tmp").symlink_to(version)
    (mount / "..data_tmp").replace(last)
    for name in content:
        if not (mount / f"{name}.json").is_symlink():
            (mount / f"{name}.json").symlink_to(f"..data/{name}.json")
    for link in mount.glob("*.json"):
        if link.stem not in content:
            link.unlink()
    if old:
        shutil.rmtree(old)


def meanwhile(monkeypatch: pytest.MonkeyPatch, step: str, act: Callable[[], object]) -> None:
    """Let `act` happen once, right after the source has taken the `step` (a function it calls) for the first time."""
    real = getattr(files, step)
    acts = [act]

    def taken(*given: object) -> object:
        result = real(*given)
        if acts:
            acts.pop()()
        return result

    monkeypatch.setattr(files, step, taken)


class Watching:
    """A source that is being watched, and everything it has told."""

    def __init__(self, *paths: Path) -> None:
        self.source = FileSource(paths)
        self.told = [shown(self.source.read())]
        self.at = [time.monotonic()]
        self._task = asyncio.create_task(self.source.watch(self._hear))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        try:
            await self._task
        except asyncio.CancelledError:
            self.source.close()

    @property
    def now(self) -> Seen:
        return self.told[-1]

    def _hear(self, documents: tuple[Document, ...]) -> None:
        self.told.append(shown(documents))
        self.at.append(time.monotonic())

    async def until(self, expected: Seen) -> None:
        await eventually_async(
            lambda: self.now, within=PATIENCE, saying=f"it tells {expected}", until=lambda now: now == expected
        )

    async def looked(self, beside: Path) -> None:
        """Wait until a look has ended that began after this call: it reads a file of its own and leaves it behind."""
        name = f"zz-{len(self.told)}.json"
        replace(beside / name, text("looked"))
        await eventually_async(lambda: name in self.now, within=PATIENCE, saying="another file is read")
        (beside / name).unlink()
        await eventually_async(lambda: name not in self.now, within=PATIENCE, saying="another file is gone")
