"""Errors, one class for each action that the caller should take.

::

    ScenarioError
    ├── ConfigError         an argument or credential is not valid           fix it, run again   78
    ├── APIError            an unusable response; retrying does not help     report it           69
    │   ├── TransientError  a temporary failure, after all retries           run again later     75
    │   └── AuthError       401 or 403                                       fix the key         77
    ├── PaginationError     the list would never end                          report it           65
    ├── SchemaError         a value does not fit its column                  report or restore   65
    ├── GuardError          the new snapshot is not plausible                look at it          65
    └── DestinationError    a file cannot be written or read                 free space          74

The numbers are the exit codes of the command line, from ``sysexits.h``. Every message says what was requested, what
happened, and what to do. An Arrow C stream preserves only the message of an error.

For schedulers, ``error.transient`` is True if a later run may succeed.
"""


class ScenarioError(Exception):
    """Base class of all errors of this package.

    Attributes:
        exit_code: Exit code of the command line for this error.
        transient: Whether a later run may succeed.

    """

    exit_code: int = 70
    transient: bool = False


class ConfigError(ScenarioError):
    """An argument or a credential is missing or not valid."""

    exit_code = 78


class APIError(ScenarioError):
    """A request to the API failed. Retrying does not help, except for the subclass TransientError.

    Attributes:
        status: HTTP status, None if there was no response.
        retry_after: Seconds that the server asked the client to wait, None if it did not.
        attempts: Number of attempts.

    """

    exit_code = 69

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None, attempts: int = 1
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.attempts = attempts


class TransientError(APIError):
    """A temporary failure: all retries have failed, or another run has locked or changed the lake."""

    exit_code = 75
    transient = True


class AuthError(APIError):
    """The API rejected the credentials (401 or 403)."""

    exit_code = 77


class PaginationError(ScenarioError):
    """Pagination did not finish.

    A token was repeated or not valid, the list has more than `max_pages` pages, or ten consecutive pages had no new
    record although the list has no filter other than `project_id`.
    """

    exit_code = 65


class SchemaError(ScenarioError):
    """A value does not fit its column, or a file of a lake is not valid."""

    exit_code = 65


class GuardError(ScenarioError):
    """The guard rejected a new snapshot, because too many rows are missing; it was not published."""

    exit_code = 65


class DestinationError(ScenarioError):
    """A file or a lake cannot be written or read; after a failed write, an existing file is unchanged."""

    exit_code = 74
