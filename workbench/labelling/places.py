"""Where items stand in a line. Leaves out everything that happens to them (`line`)."""

from array import array

import numpy as np


class Places:
    """Item numbers in the order they are asked, and where each stands."""

    def __init__(self, ids: np.ndarray) -> None:
        self.ids = array("q", np.asarray(ids, np.int64).tobytes())
        self.first = int(min(self.ids, default=0))
        size = int(max(self.ids, default=-1)) - self.first + 1
        self.at = np.full(size, -1, np.int32)
        self.at[np.asarray(ids, np.int64) - self.first] = np.arange(len(self.ids), dtype=np.int32)

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, item: int) -> int | None:
        """Where an item stands, None when it is not here."""
        place = int(self.at[item - self.first]) if 0 <= item - self.first < len(self.at) else -1
        return None if place < 0 else place

    def of_many(self, items: np.ndarray) -> np.ndarray:
        """Their places, -1 for those that are not here."""
        at = items - self.first
        inside = (at >= 0) & (at < len(self.at))
        return np.where(inside, self.at[np.where(inside, at, 0)], -1) if len(self.at) else np.full(len(items), -1)
