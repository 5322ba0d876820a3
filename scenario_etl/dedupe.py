"""Duplicates: the first record of each key is kept, later ones are dropped and counted."""

from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

MAX_NEW_KEYS = 2**14  # keys that are held in a set before they are sorted in with the others
MAX_SORTED_KEYS = 2**18  # in one array, so that sorting more in takes little memory


class SeenKeys:
    r"""Stores a 64-bit BLAKE2b digest of each key of a run, in about 9 bytes per key.

    Python's own hash() would not do: it takes the bytes that a str has in memory, so that "ab" and "\u6261" are alike
    whatever the seed. With the digest, two different keys of a million meet once in 37 million runs (n**2 / 2**65); the
    later row would then be dropped, and counted as a duplicate.

    Attributes:
        duplicates: Number of rows that were dropped.

    """

    def __init__(self) -> None:
        self.duplicates = 0
        self._newest: set[int] = set()
        self._sorted: list[Any] = []  # numpy arrays

    def drop_duplicates(self, batch: pa.RecordBatch, keys: list[Any]) -> pa.RecordBatch:
        """Return the batch without rows whose key occurred before, in it or in an earlier batch."""
        hashes = _digests(keys)
        unique = set(hashes)
        known = self._known(hashes)
        if known or len(unique) < len(hashes):
            batch = batch.take(_positions_of_first(hashes, known))
        self.duplicates += len(hashes) - batch.num_rows
        self._newest |= unique
        if len(self._newest) > MAX_NEW_KEYS:
            newest = np.sort(np.fromiter(self._newest, np.int64, len(self._newest)))
            if self._sorted and self._sorted[-1].size < MAX_SORTED_KEYS:
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


def _digests(keys: list[Any]) -> list[int]:
    """Return a signed 64-bit digest of each key; a composite key is a tuple."""
    texts = [key if isinstance(key, str) else repr(key) for key in keys]
    digests = b"".join([blake2b(text.encode(), digest_size=8).digest() for text in texts])
    found: list[int] = np.frombuffer(digests, np.int64).tolist()
    return found


def _positions_of_first(hashes: list[int], known: set[int]) -> pa.Array:
    first: dict[int, int] = {}
    for position, value in enumerate(hashes):
        if value not in known:
            first.setdefault(value, position)
    return pa.array(np.fromiter(first.values(), np.int64, len(first)))
