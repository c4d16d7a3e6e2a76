"""How Python is set: in a process of its own, since it is for a process as a whole."""

import subprocess
import sys

SET = """
import gc, sys
from extproc.processes import interpreter

gc.disable()
class Cycle:
    def __init__(self):
        self.own = self
    def __del__(self):
        print("garbage is gone")
interpreter.set_up()
print(gc.get_threshold()[0], round(sys.getswitchinterval(), 6))
Cycle()
held = [[] for _ in range(1000)]
interpreter.settled()
print(gc.get_freeze_count() > 1000, len(gc.get_objects()) < 1000)
"""


def test_little_is_looked_at_and_what_is_garbage_is_not_kept() -> None:
    done = subprocess.run([sys.executable, "-c", SET], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["10000 0.0001", "garbage is gone", "True True"]
