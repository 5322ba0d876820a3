"""Index of the values of a field, so that a filter does not generate every row."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

BLOCK_ROWS = 256


class Index:
    """The values of one field in generated records. Each value is generated once, and stored as a reference.

    A generated record only depends on its number, so its value never changes. A row that is a record itself may change
    at any time, and is read each time. No lock is needed: at worst, two threads generate the same block.

    Args:
        make: Function that returns the generated record with a number.
        field: Name of the field.

    """

    def __init__(self, make: Callable[[int], dict[str, Any]], field: str) -> None:
        self._make = make
        self._field = field
        self._blocks: dict[int, tuple[Any, ...]] = {}

    def select(self, rows: Iterable[Any], value: Any) -> Iterator[Any]:
        """Yield the rows with this value, in their order, as soon as they are found."""
        blocks, field = self._blocks, self._field
        for row in rows:
            if isinstance(row, int):
                number = row // BLOCK_ROWS
                found = (blocks.get(number) or self._block(number))[row % BLOCK_ROWS]
            else:
                found = row.get(field) if isinstance(row, dict) else None
            if found == value:
                yield row

    def _block(self, number: int) -> tuple[Any, ...]:
        first = number * BLOCK_ROWS
        block = tuple(self._make(row).get(self._field) for row in range(first, first + BLOCK_ROWS))
        self._blocks[number] = block
        return block
