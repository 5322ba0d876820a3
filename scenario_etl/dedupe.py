"""Keys that were seen before: a record that comes twice is dropped, the first kept, and counted."""

from typing import Any

import numpy as np
import pyarrow as pa

NEWEST_KEYS = 2**14  # keys that Keys holds in a set before it sorts them in with the others
SORTED_KEYS = 2**18  # in one array, so that sorting more in takes little memory


class Keys:
    """Remembers the keys of a walk by their 64-bit hash, in about 9 bytes each.

    Two different keys of a million share a hash once in 40 million walks (n**2 / 2**65); the later row would then be
    taken for a repeated one, and counted as such.

    Attributes:
        repeated: how many keys had come before.

    """

    def __init__(self) -> None:
        self.repeated = 0
        self._newest: set[int] = set()
        self._sorted: list[Any] = []  # numpy arrays

    def without_repeated(self, batch: pa.RecordBatch, keys: list[Any]) -> pa.RecordBatch:
        """Return the batch without the rows whose key has come before, in it or in an earlier one."""
        hashes = list(map(hash, keys))
        fresh = set(hashes)
        known = self._known(hashes)
        if known or len(fresh) < len(hashes):
            batch = batch.take(_positions_of_first(hashes, known))
        self.repeated += len(hashes) - batch.num_rows
        self._newest |= fresh
        if len(self._newest) > NEWEST_KEYS:
            newest = np.sort(np.fromiter(self._newest, np.int64, len(self._newest)))
            if self._sorted and self._sorted[-1].size < SORTED_KEYS:
                newest = np.sort(np.concatenate([self._sorted.pop(), newest]), kind="stable")  # merges, in linear time
            self._sorted.append(newest)
            self._newest.clear()
        return batch

    def _known(self, hashes: list[int]) -> set[int]:
        known = self._newest.intersection(hashes)
        if not self._sorted:
            return known
        wanted = np.sort(np.array(hashes, np.int64))  # in order, they are found in less than half the time
        for keys in self._sorted:
            found = keys.take(keys.searchsorted(wanted), mode="clip") == wanted
            known.update(wanted[found].tolist())
        return known


def _positions_of_first(hashes: list[int], known: set[int]) -> pa.Array:
    first: dict[int, int] = {}
    for position, value in enumerate(hashes):
        if value not in known:
            first.setdefault(value, position)
    return pa.array(np.fromiter(first.values(), np.int64, len(first)))
