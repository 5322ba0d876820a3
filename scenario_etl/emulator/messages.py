"""Request, Response and HTTPError."""

import contextlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """A method, a target (path and query), the Authorization header, and a body."""

    method: str
    target: str
    authorization: str | None = None
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path, still percent-encoded."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The query parameters; if one is repeated, its last value."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def document(self) -> dict[str, Any]:
        """The JSON object in the body; empty if the body is anything else."""
        with contextlib.suppress(ValueError):
            document = json.loads(self.body or b"{}")
            if isinstance(document, dict):
                return document
        return {}


@dataclass
class Response:
    """A status, headers, and a body: a value for JSON, text, or bytes."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


class HTTPError(Exception):
    """The API rejects a request, with a status, a reason, and other members of the body."""

    def __init__(self, status: int, reason: str, **more: Any) -> None:
        super().__init__(f"{status}: {reason}")
        self.response = Response(status, {"reason": reason, **more})
