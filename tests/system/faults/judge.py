"""Whether a table has the right rows, whatever program wrote it and however that names and types its columns."""

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

from tests.system.faults.listings import Listing


def plain(name: str) -> str:
    """Return the name of a column or field in a form that does not depend on how a program writes it."""
    return re.sub("[^a-z]", "", name.lower())


def is_right(rows: list[dict[str, Any]], expected: list[dict[str, Any]], listing: Listing) -> bool:
    """Whether the rows, under plain names, are the expected records: each once, every value what the API said."""
    names = [plain(field) for field in listing.key]
    if len(rows) != len(expected) or not all(name in row for row in rows for name in names):
        return False
    found = sorted(rows, key=lambda row: [str(row[name]) for name in names])
    due = sorted(expected, key=lambda record: [record[field] for field in listing.key])
    return all(
        _IS_VALUE[kind](row.get(plain(path)), value_at(record, path))
        for row, record in zip(found, due, strict=True)
        for path, kind in listing.fields.items()
    )


def value_at(record: Any, path: str) -> Any:
    """Return the value at a dotted path, None where it or a parent of it is missing or null."""
    for name in path.split("."):
        record = None if record is None else record.get(name)
    return record


def _is_text(value: Any, text: str | None) -> bool:
    return value == text if text is not None else _is_null(value)


def _is_number(value: Any, number: float | None) -> bool:
    if number is None:
        return _is_null(value)
    return isinstance(value, int | float) and not isinstance(value, bool) and value == number


def _is_date(value: Any, text: str) -> bool:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return False
    return isinstance(value, datetime) and _utc(value) == _utc(datetime.fromisoformat(text))


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_list(value: Any, texts: list[str] | None) -> bool:
    return value == texts if texts is not None else _is_null(value)


def _is_json(value: Any, document: Any) -> bool:
    """Whether a text is the document as JSON; the texts are compared, because True == 1 in Python."""
    if document is None:
        return _is_null(value)
    try:
        return isinstance(value, str) and _canonical(json.loads(value)) == _canonical(document)
    except ValueError:
        return False


def _is_any(value: Any, document: Any) -> bool:
    """Whether a text is the document, as JSON unless it is a text itself."""
    return value == document if isinstance(document, str) else _is_json(value, document)


def _canonical(document: Any) -> str:
    return json.dumps(document, sort_keys=True)


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


_IS_VALUE = {
    "text": _is_text,
    "number": _is_number,
    "date": _is_date,
    "texts": _is_list,
    "json": _is_json,
    "any": _is_any,
}
