"""`python -m benchmarks [pytest options]`: every micro-benchmark of this folder. What they mean is in the README."""

import sys
from pathlib import Path

import pytest

OPTIONS = (
    *("-q", "--override-ini=python_files=bench_*.py", "--override-ini=python_functions=bench_*"),
    *("--benchmark-columns=median,iqr,ops", "--benchmark-sort=name", "--benchmark-disable-gc"),
)

if __name__ == "__main__":
    sys.exit(pytest.main([*OPTIONS, str(Path(__file__).parent), *sys.argv[1:]]))
