"""`python -m benchmarks.building FILE`: seconds that it takes to read resources and to build Envoy's configuration.

In a process of its own, in which nothing is remembered from a build before; prints one line of JSON.
"""

import json
import sys
import time
from pathlib import Path

from extproc.control.admission import NOTHING, admit
from extproc.core.resources import Kind
from extproc.sources.once import read_once
from extproc.xds.judge import problems
from extproc.xds.snapshot import build
from extproc.xds.world import Options, World


def main(file: Path) -> None:
    begun = time.perf_counter()
    admission = admit(NOTHING, read_once([file]), problems)
    if admission.reports:
        raise SystemExit("\n".join(map(str, admission.reports)))
    read = time.perf_counter()
    models = admission.models
    experiments, clusters = tuple(admission.experiments), admission.pass_through(Kind.CLUSTER)
    snapshot = build(World(experiments, models, clusters, (), lambda _name, _protocol: True), Options())
    built = time.perf_counter()
    size = sum(len(resource) for group in snapshot.resources.values() for resource in group.values())
    print(json.dumps({"read": read - begun, "build": built - read, "bytes": size}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
