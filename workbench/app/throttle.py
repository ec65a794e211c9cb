"""Wrong passwords cost time: after five a minute's wait, after fifteen up to an hour's, also over a restart."""

from pathlib import Path
from time import time

from limits import parse_many
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from workbench.errors import WorkbenchError
from workbench.jobs.folder import read_json, write_json

RATES = "5/minute;15/hour"


class TooMany(WorkbenchError):
    """Somebody has to wait; `seconds` says how long."""

    status, code = 429, "too_many"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many wrong attempts: wait {seconds} s")
        self.seconds = seconds


class Throttle:
    """Failures by account and by address."""

    def __init__(self, path: Path, rates: str = RATES) -> None:
        self.path, self.rates = path, parse_many(rates)
        self.storage = MemoryStorage()
        self.limiter = FixedWindowRateLimiter(self.storage)
        kept = read_json(path, {"counts": {}, "ends": {}})
        self.storage.storage.update(kept["counts"])
        self.storage.expirations.update(kept["ends"])

    def check(self, name: str, address: str) -> None:
        """`TooMany` while either has failed too often."""
        keys = [(rate, key) for rate in self.rates for key in (f"name {name}", f"address {address}")]
        if full := [pair for pair in keys if not self.limiter.test(*pair)]:
            ends = max(self.limiter.get_window_stats(*pair).reset_time for pair in full)
            raise TooMany(max(1, round(ends - time())))

    def failed(self, name: str, address: str) -> None:
        for rate in self.rates:
            self.limiter.hit(rate, f"name {name}")
            self.limiter.hit(rate, f"address {address}")
        self._save()

    def forget(self, name: str) -> None:
        """Somebody got in: the name starts anew, the address does not."""
        for rate in self.rates:
            self.limiter.clear(rate, f"name {name}")

    def _save(self) -> None:
        write_json(self.path, {"counts": dict(self.storage.storage), "ends": dict(self.storage.expirations)})
