"""A child that does what its name says, a word a step: `ready`, `wait`, `refuse`, or the exit code to end with.

It appends a line to the file of its state directory's name at each birth; `first:STEP` is taken in the first life only.
"""

import os
import pickle
import sys
import time

from extproc.processes.specs import Report, Spec, encode


def main() -> None:
    spec = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the test
    assert isinstance(spec, Spec)
    with spec.settings.state_dir.open("a") as file:
        file.write(f"{os.getpid()} {time.monotonic()}\n")
    first = len(spec.settings.state_dir.read_text().splitlines()) == 1
    for step in spec.name.split():
        word = step.removeprefix("first:")
        if word != step and not first:
            continue
        match word:
            case "ready":
                report(Report(grpc_port=os.getpid()))
            case "refuse":
                report(Report(error="the thing can't be done: do another"))
                sys.exit(1)
            case "wait":
                while True:  # until a signal
                    time.sleep(60)
            case code:
                sys.exit(int(code))


def report(what: Report) -> None:
    sys.stdout.buffer.write(encode(what))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
