"""Redaction of text for errors, logs and tables: one line of limited length, without secrets.

The query of a signed URL is a credential, so queries, user names and passwords in URLs are always removed.
"""

import base64
import binascii
import html
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from urllib.parse import unquote

MAX_CHARACTERS = 60
MAX_QUOTED_CHARACTERS = 200  # of a response in an error
MAX_SEARCHED_CHARACTERS = 64 * 2**10  # searched for secrets; the rest of the text is cut off
MASK = "***"
MIN_SUBSTRING_CHARACTERS = 8  # a shorter secret is only redacted as a whole word
MIN_SECRET_CHARACTERS = 3  # a shorter secret would match too much text
PART_CHARACTERS = 10  # length of the parts of a secret that are redacted

# Names of query parameters that contain a signature or a token, and how one starts in a URL, which may be escaped for
# JSON or URLs. These are patterns for Python and for RE2.
SIGNATURE_PARAMETERS = (
    "Policy", "Signature", "Key-Pair-Id", "X-Amz-[a-z-]+", "X-Goog-[a-z-]+", "sig", "hdn(?:ea|tl|ts)",
    "(?:(?:access|auth|id|refresh|security|session)[_-])?token",
)  # fmt: skip
_SEPARATOR = r"[?&;#]|%(?:25){0,3}(?:23|26|3B|3F)|\\{1,8}u00(?:26|3F)"
_ASSIGNMENT = rf"(?:{'|'.join(SIGNATURE_PARAMETERS)})(?:=|%(?:25){{0,3}}3D|\\{{1,8}}u003D)"
SIGNATURE = rf"(?:{_SEPARATOR}){_ASSIGNMENT}"

_QUERY = re.compile(r"""(https?://[^\s?"'<>\\]{0,1000})\?[^\s"'<>]*""", re.IGNORECASE)
_PARAMETER = re.compile(rf"""((?:(?<![\w-])|{_SEPARATOR}|\\[bfnrt]|%0A){_ASSIGNMENT})[^\s"'<>&]*""", re.IGNORECASE)
# A password may contain a slash that is not encoded. In abfss://, the part before the account is a container.
_USER = re.compile(r"""(?<!abfs:)(?<!abfss:)//(?:[^/\s"'<>@]{1,500}|[^/\s"'<>@:]{0,500}:[^\s"'<>@]{0,500})@""")
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


def redact(value: object, limit: int = MAX_CHARACTERS) -> str:
    """Return text, or any other value as JSON, as one line of at most `limit` characters without the queries of URLs.

    >>> redact("see https://cdn.example/a.png?Policy=abc&Signature=def now")
    'see https://cdn.example/a.png?... now'
    """
    text = without_credentials((value if isinstance(value, str) else _as_json(value))[: 200 * limit])
    line = _BLANKS.sub(" ", without_bidi_controls(text)).strip()
    line = line.encode("utf-8", "backslashreplace").decode()
    return line if len(line) <= limit else line[: limit - 3] + "..."


def without_credentials(text: str) -> str:
    """Return text of any length without the queries and user names of URLs."""
    return _PARAMETER.sub(r"\1...", _USER.sub("//...@", _QUERY.sub(r"\1?...", text)))


def without_bidi_controls(text: str) -> str:
    """Return text without the characters that change the direction of text (UAX #9, section 2)."""
    return _DIRECTION.sub("", text)


def redact_response(text: str | bytes | None, secrets: Iterable[str]) -> str:
    """Return text of a response as one line of at most 200 characters, without tags, secrets or the queries of URLs."""
    decoded = text.decode("utf-8", "replace") if isinstance(text, bytes) else text or ""
    clean = redact_secrets(decoded[:MAX_SEARCHED_CHARACTERS], secrets)
    return redact(re.sub(r"<[^<>]*>", " ", clean), MAX_QUOTED_CHARACTERS)


def redact_value(value: object, secrets: Iterable[str]) -> str:
    """Return a value of a response as one line of at most 60 characters, without secrets or the queries of URLs."""
    text = value if isinstance(value, str) else redact(value, MAX_QUOTED_CHARACTERS)
    return redact(redact_secrets(text[:MAX_SEARCHED_CHARACTERS], secrets))


def redact_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return text without secrets, in plain or encoded form.

    Secrets, and parts of them with ten or more characters, are found as they are, escaped for JSON, HTML or URLs, in
    hexadecimal, and in both alphabets of base64, with or without padding, also inside encoded text. If a secret was
    escaped, the text is returned unescaped. If whitespace, tags or invisible characters split a secret, the whole text
    becomes `***`.

    >>> redact_secrets("Basic a2V5OnMzY3JldC1vbmU is wrong, s3cret-one", ["s3cret-one"])
    'Basic *** is wrong, ***'
    """
    known = _Secrets(secrets)
    for _ in range(4):  # as it is, and escaped once, twice or three times
        text = known.redact(text)
        plain = _unescaped(text)
        if plain == text or not any(map(known.are_in, (plain, _unescaped(plain), _unescaped(_unescaped(plain))))):
            break
        text = plain
    squeezed = _DIVIDING.sub("", text)
    is_divided = any(map(known.are_in, (squeezed, _unescaped(squeezed))))
    return MASK if is_divided else text


class _Secrets:
    """Finds secrets in text: long secrets by their parts, short ones as words."""

    def __init__(self, secrets: Iterable[str]) -> None:
        usable = {secret for secret in secrets if len(secret) >= MIN_SECRET_CHARACTERS}
        long = [secret for secret in usable if len(secret) >= PART_CHARACTERS]
        self._parts = {part for secret in long for _, part in _parts(secret)}
        short = sorted(usable.difference(long), key=len, reverse=True)
        self._short = re.compile("|".join(map(_pattern, short)) or "(?!)")

    def are_in(self, text: str) -> bool:
        """Return whether the text contains a secret, encoded or not."""
        return self.redact(text) != text

    def redact(self, text: str) -> str:
        """Return text without the secrets."""
        for runs, decoded in _ENCODINGS:
            text = runs.sub(lambda run: MASK if any(map(self._finds, decoded(run[0]))) else run[0], text)  # noqa: B023
        return self._short.sub(MASK, self._without_parts(text))

    def _finds(self, text: str) -> bool:
        return bool(self._short.search(text)) or self._without_parts(text) != text

    def _without_parts(self, text: str) -> str:
        marks = bytearray(len(text))
        for start, part in _parts(text):
            if part in self._parts:
                marks[start : start + PART_CHARACTERS] = b"\1" * PART_CHARACTERS
        redacted, ends = "", 0
        for found in re.finditer(b"\1+", marks):
            redacted += text[ends : found.start()] + MASK
            ends = found.end()
        return redacted + text[ends:]


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Yield each part of ten characters with its position."""
    return ((start, text[start : start + PART_CHARACTERS]) for start in range(len(text) - PART_CHARACTERS + 1))


def _pattern(secret: str) -> str:
    return re.escape(secret) if len(secret) >= MIN_SUBSTRING_CHARACTERS else rf"(?<!\w){re.escape(secret)}(?!\w)"


def _unescaped(text: str) -> str:
    """Undo one round of escaping for URLs, HTML and JSON."""
    return re.sub(r'\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|["\\/bfnrt])', _character, html.unescape(unquote(text)))


def _character(escaped: re.Match[str]) -> str:
    if escaped[0].startswith("\\x"):
        return chr(int(escaped[0][2:], 16))
    return str(json.loads(f'"{escaped[0]}"'))


def _from_base64(run: str) -> Iterator[str]:
    """Yield the decoded text of a run of base64, from each of its first four characters."""
    alphabet = run.rstrip("=").replace("-", "+").replace("_", "/")
    for start in range(4):
        part = alphabet[start:]
        whole = part[: len(part) - (len(part) % 4 == 1)]
        with suppress(binascii.Error):
            yield base64.b64decode(whole + "=" * (-len(whole) % 4)).decode("utf-8", "replace")


def _from_hexadecimal(run: str) -> Iterator[str]:
    """Yield the decoded text of a run of hexadecimal digits, from each of its first two."""
    digits = re.sub("[^0-9a-fA-F]", "", run)
    for part in (digits, digits[1:]):
        yield bytes.fromhex(part[: len(part) // 2 * 2]).decode("utf-8", "replace")


_DIVIDING = re.compile(
    r"<[^<>]{0,200}>|[\s\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+"
)
_ENCODINGS = [
    (re.compile(r"(?:[0-9a-fA-F]{2}[:\s-]?){3,}"), _from_hexadecimal),
    (re.compile(r"[A-Za-z0-9+/_-]{4,}={0,2}"), _from_base64),
]


def _as_json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=repr)
    except RecursionError:
        return f"a deeply nested {type(value).__name__}"
