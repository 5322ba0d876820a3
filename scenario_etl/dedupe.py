"""Drop duplicates: the first record of each key is kept, and later ones are dropped and counted."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

MAX_NEW_KEYS = 2**14  # keys in a set, before they are merged into a sorted array
MAX_SORTED_KEYS = 2**18  # in one array, so that a merge takes little memory


class SeenKeys:
    """Stores a 64-bit BLAKE2b digest of each key of a run, in about 9 bytes per key.

    With a million keys, two different keys have the same digest in one of 37 million runs (n**2 / 2**65); the later row
    would then be dropped, and counted as a duplicate.

    Attributes:
        duplicates: Number of rows that were dropped.

    """

    def __init__(self) -> None:
        self.duplicates = 0
        self._newest: set[int] = set()
        self._sorted: list[Any] = []  # numpy arrays

    def drop_duplicates(self, batch: pa.RecordBatch, keys: list[Any]) -> pa.RecordBatch:
        """Return the batch without rows whose key occurred earlier in this or a previous batch."""
        texts = [(key if isinstance(key, str) else repr(key)).encode() for key in keys]  # a composite key is a tuple
        hashes: list[int] = digests(texts).tolist()
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
        wanted = np.sort(np.array(hashes, np.int64))  # searching for sorted values takes less than half the time
        for keys in self._sorted:
            found = keys.take(keys.searchsorted(wanted), mode="clip") == wanted
            known.update(wanted[found].tolist())
        return known


def digests(texts: Iterable[bytes]) -> Any:
    r"""Return a 64-bit BLAKE2b digest of each text in UTF-8, as a numpy array of integers.

    Python's own hash() is not suitable: it hashes the bytes of a str in memory, so "ab" and "\u6261" have the same hash
    with any seed.
    """
    return np.frombuffer(b"".join([blake2b(text, digest_size=8).digest() for text in texts]), np.int64)


def _positions_of_first(hashes: list[int], known: set[int]) -> pa.Array:
    first: dict[int, int] = {}
    for position, value in enumerate(hashes):
        if value not in known:
            first.setdefault(value, position)
    return pa.array(np.fromiter(first.values(), np.int64, len(first)))
