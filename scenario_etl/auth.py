"""The credentials of a client: where they come from, how a request carries them, and how they stay out of sight."""

import base64
import binascii
import html
import json
import os
import re
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import unquote

import requests
from requests.auth import AuthBase

from scenario_etl.errors import ConfigError

HIDDEN = "***"
WORD_CHARACTERS = 8  # a secret that is shorter is hidden only where it stands alone
LEAST_CHARACTERS = 3  # one that is shorter is no secret, and part of too many words
REMEMBERED_TOKENS = 10
LONGEST_SECRET = 64 * 2**10  # bytes of a file; more is not read, as of /dev/zero

Token = str | Callable[[], str]


class BasicAuth(AuthBase):
    """An API key and its secret."""

    kind = "API key"
    advice = "check SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET, and the project"

    def __init__(self, key: str, secret: str) -> None:
        if ":" in key:
            raise ConfigError("the API key contains a colon, which HTTP Basic authentication does not allow")
        try:
            self._encoded = base64.b64encode(f"{key}:{secret}".encode()).decode()
        except UnicodeEncodeError:
            raise ConfigError("the API key or its secret cannot be encoded as UTF-8") from None
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
    _check_types(api_key=api_key, api_secret=api_secret)
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
        "SCENARIO_SDK_JWT), or use the emulator, which needs no account (--demo)"
    )


def hide(text: str, secrets: Iterable[str]) -> str:
    """Return text without secrets, however they are written in it.

    A secret is found as it is, escaped for JSON, HTML and URLs, in hexadecimal, and in base64 of either alphabet, with
    padding or without, alone or as a part of what was encoded. Where it was escaped, the text is returned unescaped.

    >>> hide("Basic a2V5OnMzY3JldC1vbmU is wrong, s3cret-one", ["s3cret-one"])
    'Basic *** is wrong, ***'
    """
    told = sorted({secret for secret in secrets if len(secret) >= LEAST_CHARACTERS}, key=len, reverse=True)
    if not told:
        return text
    pattern = re.compile("|".join(map(_pattern, told)))
    for _ in range(4):  # as it is, and escaped once, twice or three times
        text = _without_encoded(pattern.sub(HIDDEN, text), pattern)
        plain = _unescaped(text)
        if plain == text or not any(secret in _unescaped(_unescaped(plain)) for secret in told):
            break
        text = plain
    return text


def _pattern(secret: str) -> str:
    forms = "|".join({re.escape(secret), f"(?i:{secret.encode().hex()})"})
    return f"(?:{forms})" if len(secret) >= WORD_CHARACTERS else rf"(?<!\w)(?:{forms})(?!\w)"


def _unescaped(text: str) -> str:
    """Undo one round of escaping for URLs, HTML and JSON."""
    return re.sub(r'\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt])', _character, html.unescape(unquote(text)))


def _character(escaped: re.Match[str]) -> str:
    return str(json.loads(f'"{escaped[0]}"'))


def _without_encoded(text: str, pattern: re.Pattern[str]) -> str:
    """Hide each run of base64 in which, decoded from one of its first four characters, a secret is found."""

    def hidden(run: re.Match[str]) -> str:
        found = (_decoded(run[0][start:]) for start in range(4))
        return HIDDEN if any(map(pattern.search, found)) else run[0]

    return re.sub(r"[A-Za-z0-9+/_-]{4,}={0,2}", hidden, text)


def _decoded(run: str) -> str:
    alphabet = run.rstrip("=").replace("-", "+").replace("_", "/")
    whole = alphabet[: len(alphabet) - (len(alphabet) % 4 == 1)]
    try:
        return base64.b64decode(whole + "=" * (-len(whole) % 4)).decode("utf-8", "replace")
    except binascii.Error:
        return ""


def _variable_or_file(name: str) -> str | None:
    """Return the value of a variable, or what the file holds that the variable with `_FILE` names: a mounted secret."""
    value, path = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if value or not path:
        return value
    try:
        with Path(path).open("rb") as file:
            return file.read(LONGEST_SECRET).decode("utf-8-sig").strip()
    except (OSError, ValueError) as error:  # the path is not shown: it may be the secret, put into the wrong variable
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        problem = f"the file that {name}_FILE names cannot be read: {reason}. It takes a path, not the secret itself"
    raise ConfigError(problem)  # without the first error, which has the path


def _called(token: Callable[[], str]) -> object:
    try:
        return token()
    except Exception as error:
        raise ConfigError(f"the callable for the bearer token failed: {type(error).__name__}") from error


def _checked_token(token: object) -> str:
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ConfigError("the bearer token is empty or contains characters that are not allowed in an HTTP header")
    return token


def _check_types(**credentials: object) -> None:
    for name, value in credentials.items():
        if value is not None and not isinstance(value, str):
            raise ConfigError(f"{name} must be a string, got a value of type {type(value).__name__}")
