"""Points at which a test can end the process, to prove that no half-done work is ever seen."""

import os
from collections import Counter

passed: Counter[str] = Counter()


def failpoint(name: str) -> None:
    """End the process at once on the n-th passage when `WORKBENCH_FAILPOINT=name:n` and `WORKBENCH_TESTING=1`."""
    if os.environ.get("WORKBENCH_TESTING") != "1":
        return
    wanted, _, n = os.environ.get("WORKBENCH_FAILPOINT", "").partition(":")
    passed[name] += 1
    if name == wanted and passed[name] == int(n or 1):
        os._exit(99)
