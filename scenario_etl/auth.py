"""The credentials of a client: where they come from, how a request carries them, and how they stay out of sight."""

import base64
import binascii
import html
import json
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

import requests
from requests.auth import AuthBase

from scenario_etl.arguments import instance
from scenario_etl.errors import ConfigError, TransientError

HIDDEN = "***"
WORD_CHARACTERS = 8  # a secret that is shorter is hidden only where it stands alone
MIN_CHARACTERS = 3  # one that is shorter is no secret, and part of too many words
PART_CHARACTERS = 10  # of a secret that give it away
REMEMBERED_TOKENS = 100
MAX_SECRET_BYTES = 64 * 2**10  # bytes of a file; more is not read, as of /dev/zero

Token = str | Callable[[], str]


class BasicAuth(AuthBase):
    """An API key and its secret."""

    kind = "API key"
    advice = "check SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET, and the project"

    def __init__(self, key: str, secret: str) -> None:
        if ":" in key:
            raise ConfigError("the API key contains a colon, which HTTP Basic authentication does not allow")
        if re.search("[\ud800-\udfff]", key + secret):
            raise ConfigError("the API key or its secret cannot be encoded as UTF-8")
        self._encoded = base64.b64encode(f"{key}:{secret}".encode()).decode()
        self.secrets = [self._encoded, f"{key}:{secret}", secret, key]

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the credentials to a request."""
        request.headers["Authorization"] = f"Basic {self._encoded}"
        return request

    def may_refresh(self, _: int, __: str) -> bool:
        """Whether other credentials can be had: never."""
        return False


class BearerAuth(AuthBase):
    """A JWT, or a callable that gives a fresh one for each request."""

    kind = "bearer token"
    advice = "JWTs may expire after about 60 s: use an API key, or pass a callable that gives a fresh token"

    def __init__(self, token: Token) -> None:
        self._token = token
        self._used: deque[str] = deque(maxlen=REMEMBERED_TOKENS)
        if not callable(token):
            self._used.append(_checked_token(token))

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the credentials to a request."""
        if callable(self._token):
            self._used.append(_checked_token(_called(self._token)))
        request.headers["Authorization"] = f"Bearer {self._used[-1]}"
        return request

    def may_refresh(self, status: int, error_type: str) -> bool:
        """Whether this is how the API's gateway says that a JWT has expired, and a fresh one can be had."""
        return callable(self._token) and status == 403 and error_type.startswith("AccessDeniedException")

    @property
    def secrets(self) -> list[str]:
        """What must not be shown: the tokens that were used last."""
        return [*self._used]


def authorization(api_key: str | None, api_secret: str | None, bearer_token: Token | None) -> BasicAuth | BearerAuth:
    """Choose the credentials: an argument beats the environment, within it the key pair beats the JWT.

    Raises:
        ConfigError: there are none, or they cannot be used.

    """
    for name, value in {"api_key": api_key, "api_secret": api_secret}.items():
        if value is not None:
            instance(name, value, str)
    if bearer_token is not None:
        if api_key is not None or api_secret is not None:
            raise ConfigError("an API key and a bearer token were given: give one of them")
        return BearerAuth(bearer_token)
    if "" in (api_key, api_secret):
        raise ConfigError("the API key or its secret is an empty string: leave it out to take it from the environment")
    key = api_key or _variable_or_file("SCENARIO_SDK_API_KEY")
    secret = api_secret or _variable_or_file("SCENARIO_SDK_API_SECRET")
    jwt = os.environ.get("SCENARIO_SDK_JWT")
    if key and secret:
        return BasicAuth(key, secret)
    if jwt and api_key is None and api_secret is None:
        return BearerAuth(jwt)
    missing = [n for n, v in (("SCENARIO_SDK_API_KEY", key), ("SCENARIO_SDK_API_SECRET", secret)) if not v]
    raise ConfigError(
        f"no credentials: {' and '.join(missing)} not set; set SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET (or "
        "SCENARIO_SDK_JWT), or use the emulator, which needs no account (--demo; in Python scenario_etl.Emulator)"
    )


def hide(text: str, secrets: Iterable[str]) -> str:
    """Return text without secrets, however they are written in it.

    A secret is found whole, or in a part of ten characters; as it is, escaped for JSON, HTML and URLs, in hexadecimal,
    and in base64 of either alphabet, with padding or without, alone or within what was encoded. Where it was escaped,
    the text is returned unescaped; where blanks, tags or invisible characters divide it, nothing of the text is.

    >>> hide("Basic a2V5OnMzY3JldC1vbmU is wrong, s3cret-one", ["s3cret-one"])
    'Basic *** is wrong, ***'
    """
    known = _Secrets(secrets)
    for _ in range(4):  # as it is, and escaped once, twice or three times
        text = known.hidden_in(text)
        plain = _unescaped(text)
        if plain == text or not any(map(known.are_in, (plain, _unescaped(plain), _unescaped(_unescaped(plain))))):
            break
        text = plain
    squeezed = _DIVIDING.sub("", text)
    is_divided = any(map(known.are_in, (squeezed, _unescaped(squeezed))))
    return HIDDEN if is_divided else text


class _Secrets:
    """Finds secrets in text: the long ones by their parts, the short ones as words."""

    def __init__(self, secrets: Iterable[str]) -> None:
        told = {secret for secret in secrets if len(secret) >= MIN_CHARACTERS}
        long = [secret for secret in told if len(secret) >= PART_CHARACTERS]
        self._parts = {part for secret in long for _, part in _parts(secret)}
        short = sorted(told.difference(long), key=len, reverse=True)
        self._short = re.compile("|".join(map(_pattern, short)) or "(?!)")

    def are_in(self, text: str) -> bool:
        """Whether one is in the text, encoded or not."""
        return self.hidden_in(text) != text

    def hidden_in(self, text: str) -> str:
        """Return text without those in it."""
        for runs, decoded in _ENCODINGS:
            text = runs.sub(lambda run: HIDDEN if any(map(self._finds, decoded(run[0]))) else run[0], text)  # noqa: B023
        return self._short.sub(HIDDEN, self._without_parts(text))

    def _finds(self, text: str) -> bool:
        return bool(self._short.search(text)) or self._without_parts(text) != text

    def _without_parts(self, text: str) -> str:
        marks = bytearray(len(text))
        for start, part in _parts(text):
            if part in self._parts:
                marks[start : start + PART_CHARACTERS] = b"\1" * PART_CHARACTERS
        shown, ends = "", 0
        for found in re.finditer(b"\1+", marks):
            shown += text[ends : found.start()] + HIDDEN
            ends = found.end()
        return shown + text[ends:]


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Yield each part of ten characters, with the position where it begins."""
    return ((start, text[start : start + PART_CHARACTERS]) for start in range(len(text) - PART_CHARACTERS + 1))


def _pattern(secret: str) -> str:
    return re.escape(secret) if len(secret) >= WORD_CHARACTERS else rf"(?<!\w){re.escape(secret)}(?!\w)"


def _unescaped(text: str) -> str:
    """Undo one round of escaping for URLs, HTML and JSON."""
    return re.sub(r'\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|["\\/bfnrt])', _character, html.unescape(unquote(text)))


def _character(escaped: re.Match[str]) -> str:
    if escaped[0].startswith("\\x"):
        return chr(int(escaped[0][2:], 16))
    return str(json.loads(f'"{escaped[0]}"'))


def _from_base64(run: str) -> Iterator[str]:
    """Yield what a run of base64 says, decoded from each of its first four characters."""
    alphabet = run.rstrip("=").replace("-", "+").replace("_", "/")
    for start in range(4):
        part = alphabet[start:]
        whole = part[: len(part) - (len(part) % 4 == 1)]
        with suppress(binascii.Error):
            yield base64.b64decode(whole + "=" * (-len(whole) % 4)).decode("utf-8", "replace")


def _from_hexadecimal(run: str) -> Iterator[str]:
    """Yield what a run of hexadecimal digits says, decoded from each of its first two."""
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


def _variable_or_file(name: str) -> str | None:
    """Return the value of a variable, or what the file holds that the variable with `_FILE` names: a mounted secret."""
    value, path = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if value or not path:
        return value
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_SECRET_BYTES).decode("utf-8-sig").strip()
    except (OSError, ValueError) as error:  # the path is not shown: it may be the secret, put into the wrong variable
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        problem = f"the file that {name}_FILE names cannot be read: {reason}. It takes a path, not the secret itself"
    raise ConfigError(problem)  # without the first error, which has the path


def _called(token: Callable[[], str]) -> object:
    try:
        return token()
    except (ConnectionError, TimeoutError, requests.ConnectionError, requests.Timeout) as error:
        raise TransientError(f"the callable for the bearer token failed: {type(error).__name__}") from error
    except Exception as error:
        raise ConfigError(f"the callable for the bearer token failed: {type(error).__name__}") from error


def _checked_token(token: object) -> str:
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ConfigError("the bearer token is empty or contains characters that are not allowed in an HTTP header")
    return token
