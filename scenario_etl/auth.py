"""Credentials: API key or bearer token, from arguments, environment variables or files."""

import base64
import os
import re
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

import requests

from scenario_etl.arguments import check_type
from scenario_etl.errors import ConfigError, TransientError
from scenario_etl.locks import ForkSafeLock

MAX_RECENT_TOKENS = 100  # tokens that are still redacted after their use
MAX_SECRET_BYTES = 64 * 2**10  # the rest of a file, such as /dev/zero, is not read
API_KEY_VARIABLES = ("SCENARIO_SDK_API_KEY", "SCENARIO_SDK_API_SECRET")

Token = str | Callable[[], str]


class BasicAuth:
    """An API key and its secret."""

    kind = "API key"
    scheme = "Basic"

    def __init__(self, key: str, secret: str, names: tuple[str, str] = API_KEY_VARIABLES) -> None:
        self.advice = f"check {names[0]} and {names[1]}, and the project"
        for name, value in zip(names, (key, secret), strict=True):
            if value != value.strip():
                raise ConfigError(f"{name} starts or ends with a space or a line break; remove it")
        if ":" in key:
            raise ConfigError("the API key contains a colon, which HTTP Basic authentication does not allow; check it")
        if re.search("[\ud800-\udfff]", key + secret):
            raise ConfigError("the API key or its secret is not valid Unicode text; check both")
        self.account = key
        self.arguments = {"api_key": key, "api_secret": secret}  # of a client with the same credentials
        self._encoded = base64.b64encode(f"{key}:{secret}".encode()).decode()
        self.secrets = [self._encoded, f"{key}:{secret}", secret, key]

    def credentials(self) -> str:
        """Return the credentials that follow the scheme in the Authorization header."""
        return self._encoded

    def release(self, _: str) -> None:
        """Do nothing, as an API key is constant."""

    def can_refresh(self, _: int, __: str) -> bool:
        """Return False, because an API key cannot be refreshed."""
        return False


class BearerAuth:
    """A JWT, or a callable that returns a fresh one for each request; several threads may use it at once."""

    kind = "bearer token"
    scheme = "Bearer"
    account = ""  # a JWT says whose it is, but only the API can read it
    advice = "JWTs may expire after about 60 s: use an API key, or pass a callable that returns a fresh token"

    def __init__(self, token: Token) -> None:
        self._token = token
        self.arguments = {"bearer_token": token}  # of a client with the same credentials
        self._lock = ForkSafeLock()
        self._recent = deque([] if callable(token) else [_check_token(token)], MAX_RECENT_TOKENS)
        self._in_use = Counter[str]()

    def credentials(self) -> str:
        """Return the credentials that follow the scheme in the Authorization header.

        Raises:
            ConfigError: The callable failed, or its result is not a valid token.
            TransientError: The callable could not connect.

        """
        if not callable(self._token):
            return self._token
        token = _check_token(_call(self._token))
        with self._lock:
            self._recent.append(token)
            self._in_use[token] += 1
        return token

    def release(self, token: str) -> None:
        """Record that a request no longer uses a token; it remains one of the most recent tokens."""
        with self._lock:
            self._in_use -= Counter([token])

    def can_refresh(self, status: int, error_type: str) -> bool:
        """Return whether the API's gateway rejected an expired JWT that the callable can replace."""
        return callable(self._token) and status == 403 and error_type.startswith("AccessDeniedException")

    @property
    def secrets(self) -> list[str]:
        """The most recent tokens of all threads, and those that requests use now."""
        with self._lock:
            return list({*self._recent, *self._in_use})


def resolve_credentials(
    api_key: str | None, api_secret: str | None, bearer_token: Token | None
) -> BasicAuth | BearerAuth:
    """Return the credentials: from the arguments, or else from the environment, where an API key comes before a JWT.

    Raises:
        ConfigError: No credentials are set, or they are not valid.

    """
    for name, value in {"api_key": api_key, "api_secret": api_secret}.items():
        if value is not None:
            check_type(name, value, str)
    if bearer_token is not None:
        if api_key is not None or api_secret is not None:
            raise ConfigError("got both an API key and a bearer token; pass only one of them")
        return BearerAuth(bearer_token)
    if "" in (api_key, api_secret):
        raise ConfigError("the API key or its secret is an empty string; omit it to use the environment variable")
    key = api_key or _variable_or_file("SCENARIO_SDK_API_KEY")
    secret = api_secret or _variable_or_file("SCENARIO_SDK_API_SECRET")
    jwt = os.environ.get("SCENARIO_SDK_JWT")
    if key and secret:
        key_name, secret_name = API_KEY_VARIABLES
        names = (key_name if api_key is None else "api_key", secret_name if api_secret is None else "api_secret")
        return BasicAuth(key, secret, names)
    if jwt and api_key is None and api_secret is None:
        return BearerAuth(jwt)
    missing = [n for n, v in (("SCENARIO_SDK_API_KEY", key), ("SCENARIO_SDK_API_SECRET", secret)) if not v]
    raise ConfigError(
        f"no credentials: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set; set "
        f"{'it' if len(missing) == 1 else 'them'} (or SCENARIO_SDK_JWT), or use the emulator, which needs no account "
        "(--demo; in Python, scenario_etl.Emulator)"
    )


def _variable_or_file(name: str) -> str | None:
    """Return the value of a variable, or the content of the file that `{name}_FILE` names, such as a mounted secret."""
    value, path = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if value or not path:
        return value
    try:
        with Path(path).open("rb") as file:
            value = file.read(MAX_SECRET_BYTES).decode("utf-8-sig").strip()
    except (OSError, ValueError) as error:  # without the path, which may be the secret itself
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        is_denied = isinstance(error, PermissionError)
        advice = "check its permissions" if is_denied else "set the variable to a path, not to the secret itself"
        problem = f"cannot read the file that {name}_FILE names: {reason}; {advice}"
    else:
        if value:
            return value
        problem = f"the file that {name}_FILE names is empty; write the secret to it"
    raise ConfigError(problem)  # without the first error, which contains the path


def _call(token: Callable[[], str]) -> object:
    try:
        return token()
    except (ConnectionError, TimeoutError, requests.ConnectionError, requests.Timeout) as error:
        raise TransientError(f"the bearer_token callable raised {type(error).__name__}") from error
    except Exception as error:
        raise ConfigError(f"the bearer_token callable raised {type(error).__name__}; it must return a token") from error


def _check_token(token: object) -> str:
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ConfigError(
            "the bearer token must be a non-empty string of printable ASCII characters without spaces; check it"
        )
    return token
