"""What can go wrong, sorted by what the caller should do about it.

::

    ScenarioError
    ├── ConfigError         a credential or argument is missing or wrong     fix it, run again   78
    ├── APIError            the API answers wrongly; waiting does not help   report it           69
    │   ├── TransientError  API or store fail for now, attempts used up      run again later     75
    │   └── AuthError       401 or 403                                       fix the key         77
    ├── PaginationError     the listing has no end that can be read          report it           65
    ├── SchemaError         a value does not fit its column                  change resources.py 65
    ├── GuardError          the new snapshot is not plausible                look at it          65
    └── DestinationError    a file cannot be written or read                 free space, rights  74

The numbers are the exit codes of the command line, taken from ``sysexits.h``. Every message stands alone: what was
asked, what came, what to do. Across the Arrow C stream only the message survives.

A scheduler needs one attribute, ``error.transient``: whether running again later may help.
"""


class ScenarioError(Exception):
    """The root of every error that this package raises on purpose.

    Attributes:
        exit_code: the exit code of the command line for this error.
        transient: whether running again later may help.

    """

    exit_code: int = 70
    transient: bool = False


class ConfigError(ScenarioError):
    """A credential or an argument is missing or wrong."""

    exit_code = 78


class APIError(ScenarioError):
    """The API gave an answer that cannot be used, and that waiting does not mend.

    Attributes:
        status: the HTTP status, None where no answer came.
        retry_after: the seconds that the server asked to wait, None where it did not say.
        attempts: how many times the request was sent.

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
    """A later run may succeed: attempts or deadline are used up, or another run holds the lake or changes it."""

    exit_code = 75
    transient = True


class AuthError(APIError):
    """The API refused the credentials (401, 403)."""

    exit_code = 77


class PaginationError(ScenarioError):
    """The listing has no end that can be read: a token repeats or is unusable, or pages bring nothing new."""

    exit_code = 65


class SchemaError(ScenarioError):
    """A value does not fit its column, in a record of the API or a file of a lake; the message names the place."""

    exit_code = 65


class GuardError(ScenarioError):
    """A new snapshot is not plausible beside the last one, and was not published."""

    exit_code = 65


class DestinationError(ScenarioError):
    """A file or a lake cannot be written or read; where writing fails, what stood there before is untouched."""

    exit_code = 74
