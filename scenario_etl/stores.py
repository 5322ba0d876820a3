"""Filesystems of paths and URIs: access, timeouts, redacted URIs, and transient failures."""

import os
import re
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from threading import Thread
from typing import Any, TypeVar

import tenacity
from pyarrow import fs

from scenario_etl.errors import ConfigError, DestinationError, TransientError
from scenario_etl.redact import redact
from scenario_etl.retry import FIRST_WAIT, MAX_WAIT

REQUEST_TIMEOUT = 60.0  # seconds of silence; an object store sends nothing until a copy is complete
CONNECT_TIMEOUT = 5.0  # seconds
RETRY_TIME = timedelta(seconds=15)
CALL_TIMEOUT = 300.0  # seconds of one call, however slow the connection
SCHEMES = {"file", "s3", "gs", "gcs", "abfs", "abfss", "hdfs"}

# KEY:SECRET@ in s3://KEY:SECRET@bucket, but not the container of abfss://container@account.
_USER = re.compile(r"^(\w+:/*)(?:(?<!abfs://)(?<!abfss://)[^/@]*|[^/@]*:.*)@", re.DOTALL)
_UNFINISHED = re.compile(r"^(\w+:/*)[^/]*:(?!\d+(?:/|$)).*", re.DOTALL)  # credentials, but no host after them
_TRANSIENT = re.compile(
    r"HTTP status (408|409|429|5\d\d)\b|\b(408|429|5\d\d) [A-Z]"  # of S3, and of Azure
    r"|OperationAborted|ExpiredToken|EXPIRED_TOKEN"  # temporary credentials, which the next run renews
    r"|SLOW_DOWN|THROTTLING|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|REQUEST_TIMEOUT"
    r"|\b(UNAVAILABLE|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|ABORTED|INTERNAL)\b"  # of Google's Status
    r"|NETWORK_CONNECTION|[Tt]imed? ?out|[Cc]onnection (reset|refused|closed)|[Cc]ould ?n.t connect"
)
_NOT_RETRYABLE = re.compile(r"curlCode: (1|3|51|58|60|77)\b|ACCESS_DENIED|NO_SUCH_BUCKET")  # such as a certificate

Result = TypeVar("Result")
_calls: set[Thread] = set()


def filesystem(uri: str | os.PathLike[str]) -> tuple[fs.FileSystem, str]:
    """Return the filesystem of a path or URI (`s3://`, `gs://`, `abfss://`, `file://`), and the path in it.

    The credentials of an object store come from its own environment, such as `AWS_*` and `AWS_ENDPOINT_URL`.

    Raises:
        ConfigError: It is not a valid path or URI, or the scheme is not supported.
        DestinationError: The filesystem cannot be opened.
        TransientError: The object store is unavailable.

    """
    text = _check_path(uri)
    try:
        if "://" not in text:
            _check_slashes(text)
            path = os.path.realpath(expand_user(text))  # a symbolic link is followed, not replaced
            return fs.LocalFileSystem(), path
        _check_uri(text)
        store, path = fs.FileSystem.from_uri(text)
        if "\0" in path:
            raise ValueError("the path contains a NUL character; remove it")
    except (ValueError, OSError) as error:  # an ArrowException is one of them
        reason = redact(str(error).replace(text, redact_uri(text)), 200)
        reason = reason if "://" in text else "the current folder no longer exists; change to another"
        problem = build_error(text, f"cannot open {redact_uri(text)}: {reason}", error)
    else:
        if isinstance(store, fs.LocalFileSystem):
            return store, os.path.realpath(path)
        return _with_timeouts(store), path.rstrip("/")
    raise problem  # without the first error, which contains the whole URI


def expand_user(uri: str | os.PathLike[str]) -> str:
    """Return a path with `~` replaced by the home folder, as in a shell; a URI is returned unchanged."""
    text = os.fspath(uri)
    return text if "://" in text else os.path.expanduser(text)


def join_uri(uri: str | os.PathLike[str], relative: str) -> str:
    """Return a path or URI with a relative path appended; the query of a URI stays at the end."""
    text = os.fspath(uri)
    base, mark, query = text.partition("?") if "://" in text else (text, "", "")
    return f"{base.rstrip('/')}/{relative}{mark}{query}"


def ends_with_slash(uri: str | os.PathLike[str]) -> bool:
    """Return whether a path or URI ends with a slash, as a folder may."""
    text = os.fspath(uri)
    return (text.partition("?")[0] if "://" in text else text).endswith(("/", os.sep))


def redact_uri(uri: str | os.PathLike[str]) -> str:
    """Return a path or URI for messages: one line, without the credentials and the query of a URI.

    >>> redact_uri("s3://KEY:SECRET@bucket/lake?region=eu-west-1")
    's3://bucket/lake'
    """
    text = os.fspath(uri)
    scheme = text.partition(":")[0].lower()
    if "://" in text or scheme in SCHEMES:
        text = _UNFINISHED.sub(r"\1...", _USER.sub(r"\1", text).partition("?")[0])
    return redact(text, 1000)


def build_error(
    uri: str | os.PathLike[str], message: str, error: BaseException, advice: str = ""
) -> TransientError | DestinationError:
    """Return the error to raise for a failure of a filesystem; advice is added unless the failure is transient."""
    if is_remote(uri) and is_transient(error):
        return TransientError(f"{message}; run again later")
    return DestinationError(message + advice)


def is_remote(uri: str | os.PathLike[str]) -> bool:
    """Return whether a path or URI is in an object store, not on a local disk."""
    scheme, mark, _ = os.fspath(uri).partition("://")
    return bool(mark) and scheme != "file"


def is_transient(error: BaseException) -> bool:
    """Return whether a failure of an object store is transient.

    The errors of pyarrow have no codes, so this depends on their text: the HTTP status (RFC 9110), the codes of S3
    ("Error responses" in its API reference) and of Google (google.rpc.Code), and lost connections. Names of objects are
    ignored.
    """
    if isinstance(error, TimeoutError) and error.errno is None:  # of `call`
        return True
    text = re.sub(r"'[^']*'", "", str(error))
    return bool(_TRANSIENT.search(text)) and not _NOT_RETRYABLE.search(text)


def call(function: Callable[..., Result], *arguments: Any, seconds: float = CALL_TIMEOUT) -> Result:
    """Call a function of a store, and return its result; wait at most `seconds` for it.

    The function runs in a separate thread, because pyarrow does not return to Python before the store responds, and a
    signal would have no effect until then.

    Raises:
        TimeoutError: The call takes longer. It continues in its thread.

    """
    future: Future[Result] = Future()

    def work() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as error:  # noqa: BLE001 - it is raised by the caller
            future.set_exception(error)
        finally:
            _calls.discard(thread)

    thread = Thread(target=work, daemon=True)
    _calls.add(thread)
    thread.start()
    try:
        return future.result(seconds)
    except TimeoutError as error:
        raise error if str(error) else TimeoutError(f"no response within {seconds:g} s") from None


def call_with_retries(function: Callable[..., Result], *arguments: Any, deadline: float) -> Result:
    """Call a function as `call` does, and retry transient failures until `deadline` seconds have passed."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_transient),
        wait=tenacity.wait_exponential_jitter(initial=FIRST_WAIT, max=MAX_WAIT),
        stop=tenacity.stop_before_delay(deadline),
        reraise=True,
    )
    result: Result = retrying(call, function, *arguments)
    return result


def has_unfinished_calls() -> bool:
    """Return whether a call is still running, for example after a timeout.

    pyarrow would wait for it when Python exits.
    """
    return bool(_calls)


def _check_path(uri: object) -> str:
    try:
        text = os.fspath(uri)  # type: ignore[call-overload] # of any type
    except Exception:  # noqa: BLE001 - raised by a class of another package
        text = None
    if not isinstance(text, str):
        raise ConfigError(f"a path must be a string or a PathLike, got {redact(repr(uri))}")
    try:
        usable = bool(text.encode()) and "\0" not in text
    except UnicodeEncodeError:
        usable = False
    if text == "-":
        raise ConfigError("'-' (stdout) is not supported here; use a path, or ./- for a file with this name")
    if not usable or not text.strip():
        raise ConfigError(f"{redact(text)!r} is not a valid path; use a non-empty path or URI in UTF-8")
    return text


def _check_slashes(text: str) -> None:
    """Raise ConfigError for a URI without its slashes, such as s3:bucket, which would be used as a local path."""
    scheme, colon, _ = text.partition(":")
    if colon and scheme.lower() in SCHEMES - {"file"}:
        raise ConfigError(
            f"'{redact_uri(text)}' is not a valid URI; expected something like {scheme.lower()}://bucket/path"
        )


def _check_uri(text: str) -> None:
    """Raise ConfigError if the scheme is not supported, or pyarrow would ignore a part of the URI."""
    scheme, _, rest = text.partition("://")
    place, _, query = rest.partition("?")
    _, _, path = place.partition("/")
    reason = None
    if scheme not in SCHEMES:  # pyarrow does not know S3://
        raise ConfigError(
            f"{redact_uri(text)}: the scheme {redact(scheme)!r} is not supported; use a path, file://, s3://, gs:// or abfss://"
        )
    if "#" in rest:
        reason = "has a fragment; write # as %23"
    elif not path.strip("/"):
        reason = "has no path below the bucket; specify a folder or a file"
    elif "//" in path or (scheme != "file" and path.startswith("/")):
        reason = "contains '//', which is a folder with an empty name in an object store; remove one slash"
    elif query and scheme in {"file", "hdfs"}:
        reason = "has a query, which file:// and hdfs:// do not support; remove it"
    if reason:
        raise ConfigError(f"{redact_uri(text)} {reason}")


def _with_timeouts(store: fs.FileSystem) -> fs.FileSystem:
    """Return the same filesystem with different timeouts.

    S3 waits 60 s for a response instead of 3 s, and Google Cloud Storage retries for 15 s instead of 15 minutes. A URI
    cannot contain these settings, so they are added to the arguments with which the filesystem is pickled.
    """
    timeouts = next((found for name, found in _TIMEOUTS.items() if isinstance(store, getattr(fs, name, ()))), None)
    if timeouts is None:
        return store
    rebuilt, (arguments,) = store.__reduce__()
    return rebuilt(arguments | timeouts)


_TIMEOUTS = {
    "S3FileSystem": {"request_timeout": REQUEST_TIMEOUT, "connect_timeout": CONNECT_TIMEOUT},
    "GcsFileSystem": {"retry_time_limit": RETRY_TIME},
}
