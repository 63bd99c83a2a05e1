"""Repeats tests/test_fuzz*.py with new random inputs until a time is over: ``python -m tests.fuzz SECONDS``.

The exit status is 1 if a test fails, or if a round takes so long that it must hang.
"""

import os
import random
import subprocess
import sys
import time

from tests.helpers import ROOT

EXAMPLES = 300
HANG_SECONDS = 1800


def main(seconds):
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        number += 1
        seed = random.getrandbits(32)
        options = ("-q", "-x", "--tb=short", f"--hypothesis-seed={seed}")
        command = [sys.executable, "-m", "pytest", *options, *sorted(ROOT.glob("tests/test_fuzz*.py"))]
        environment = {**os.environ, "MLPBENCH_FUZZ": str(EXAMPLES)}
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            print(f"round {number}, seed {seed}: no end after {HANG_SECONDS} s")
            return 1
        if done.returncode != 0:
            print(done.stdout, done.stderr, f"round {number}, seed {seed}: failed", sep="\n")
            return 1
        print(
            f"round {number}, seed {seed}: {EXAMPLES} inputs of each test, {done.stdout.splitlines()[-1]}", flush=True
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
