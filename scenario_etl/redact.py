"""Text that is safe to show in errors, logs and tables: one bounded line, without secrets.

A signed URL is a credential in its query, so no query of any URL is ever shown, and no user name or password in one.
"""

import json
import re

MAX_CHARACTERS = 60

_QUERY = re.compile(r"""(https?://[^\s?"'<>\\]{0,1000})\?[^\s"'<>]*""", re.IGNORECASE)
_PARAMETER = re.compile(r"""(Policy|Signature|Key-Pair-Id|X-Amz-[a-z-]+)=[^\s"'<>&]*""", re.IGNORECASE)
# A password may hold a slash that is not encoded; what stands before the account of abfss:// is a container.
_USER = re.compile(r"""(?<!abfs:)(?<!abfss:)//(?:[^/\s"'<>@]{1,500}|[^/\s"'<>@:]{0,500}:[^\s"'<>@]{0,500})@""")
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


def redact(value: object, limit: int = MAX_CHARACTERS) -> str:
    """Return text, or any other value as JSON, as one line of at most `limit` characters without URL queries.

    >>> redact("see https://cdn.example/a.png?Policy=abc&Signature=def now")
    'see https://cdn.example/a.png?... now'
    """
    text = without_credentials((value if isinstance(value, str) else _as_json(value))[: 200 * limit])
    line = _BLANKS.sub(" ", without_bidi_controls(text)).strip()
    line = line.encode("utf-8", "backslashreplace").decode()
    return line if len(line) <= limit else line[: limit - 3] + "..."


def without_credentials(text: str) -> str:
    """Return text of any length and number of lines without the queries and the user names of its URLs."""
    return _PARAMETER.sub(r"\1=...", _USER.sub("//...@", _QUERY.sub(r"\1?...", text)))


def without_bidi_controls(text: str) -> str:
    """Return text without the characters that change the direction of what is beside them (Unicode annex 9, 2.)."""
    return _DIRECTION.sub("", text)


def _as_json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=repr)
    except RecursionError:
        return f"a deeply nested {type(value).__name__}"
