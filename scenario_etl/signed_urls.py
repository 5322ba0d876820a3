"""Signed URLs, and how text from outside is shown in messages.

A signed URL is a credential in its query: whoever reads it can fetch the picture until it expires. So no query of any
URL is ever shown.
"""

import json
import re

SHOWN_CHARACTERS = 60
_QUERY = re.compile(r"""(https?://[^\s?"'<>\\]*)\?[^\s"'<>]*""", re.IGNORECASE)
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


def shown(value: object, limit: int = SHOWN_CHARACTERS) -> str:
    """Return text, or any other value as JSON, as one line of at most `limit` characters without URL queries.

    >>> shown("see https://cdn.example/a.png?Policy=abc&Signature=def now")
    'see https://cdn.example/a.png?... now'
    """
    text = (value if isinstance(value, str) else _as_json(value))[: 200 * limit]
    line = _BLANKS.sub(" ", _QUERY.sub(r"\1?...", text)).strip()
    line = line.encode("utf-8", "backslashreplace").decode()
    return line if len(line) <= limit else line[: limit - 3] + "..."


def _as_json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=repr)
    except RecursionError:
        return f"a deeply nested {type(value).__name__}"
