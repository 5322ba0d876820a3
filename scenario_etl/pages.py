"""Iteration over the pages of a list."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from scenario_etl.errors import APIError, PaginationError
from scenario_etl.response import parse_date_header
from scenario_etl.transport import Endpoint

MAX_EMPTY_PAGES = 10
MAX_PAGES = 100_000


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    Attributes:
        records: The records, as in the JSON.
        next_token: The token of the next page, None for the last page.
        size: The size of the JSON in bytes.

    """

    records: list[Any]
    next_token: str | None
    size: int


class Pages:
    """One iteration over the pages of a list, which ends with a token that is absent, null or empty.

    Attributes:
        pages: Number of pages so far.
        max_empty_pages: Maximum number of consecutive pages without a record; it may be set before the iteration.

    """

    def __init__(self, endpoint: Endpoint, records_key: str, max_pages: int) -> None:
        self.pages = 0
        self.max_empty_pages = MAX_EMPTY_PAGES
        self._endpoint = endpoint
        self._records_key = records_key
        self._max_pages = max_pages
        self._tokens_hash = hashlib.sha256()

    @property
    def url(self) -> str:
        """The URL of the first page."""
        return self._endpoint.url

    @property
    def date(self) -> datetime | None:
        """The time of the server at its last response, from the header `Date`; None if it is missing or not valid."""
        return parse_date_header(self._endpoint.date_header)

    def require_date(self, purpose: str) -> datetime:
        """Return the time of the server; raise APIError if it is unknown."""
        if self.date is None:
            raise APIError(
                f"GET {self.url}: the response has no valid Date header, which {purpose}; report it to the vendor"
            )
        return self.date

    @property
    def requests(self) -> int:
        """Number of requests, including retries and redirects."""
        return self._endpoint.requests

    @property
    def retries(self) -> int:
        """Number of retries."""
        return self._endpoint.retries

    @property
    def seconds_waited(self) -> float:
        """Seconds spent waiting for retries and rate limiting."""
        return self._endpoint.seconds_waited

    @property
    def tokens_sha256(self) -> str:
        """SHA-256 of the page tokens, in order, in hexadecimal."""
        return self._tokens_hash.hexdigest()

    def redact(self, value: object) -> str:
        """Return a value of a page as one short line, without the queries of URLs and without credentials."""
        return self._endpoint.redact(value)

    def __iter__(self) -> Iterator[Page]:
        """Return an iterator over the pages, which yields each as it arrives.

        Raises:
            APIError: A request failed; TransientError and AuthError are subclasses.
            ConfigError: The bearer token or the certificates are not valid.
            PaginationError: A token repeats, or there are too many pages, or too many empty ones in a row.

        """
        return self.follow(self._endpoint.url)

    def follow(self, url: str) -> Iterator[Page]:
        """Yield the page at a URL and the pages after it, as they arrive. Raises the errors of an iteration."""
        next_url = f"{url}{'&' if '?' in url else '?'}paginationToken="
        seen: set[str] = set()
        empty_pages = 0
        while True:
            page = self.page_at(url)
            self.pages += 1
            yield page
            if page.next_token is None:
                return
            empty_pages = 0 if page.records else empty_pages + 1
            self._check_progress(page.next_token, seen, empty_pages)
            url = next_url + quote(page.next_token, safe="")

    def _check_progress(self, token: str, seen: set[str], empty_pages: int) -> None:
        if token in seen:
            raise PaginationError(
                f"{self._endpoint.url}: page {self.pages} has the same next-page token {self._endpoint.quote(token)!r} "
                "as an earlier page, so the list would never end; report it to the vendor"
            )
        if empty_pages >= self.max_empty_pages:
            raise PaginationError(
                f"{self._endpoint.url}: {empty_pages} consecutive empty pages, up to page {self.pages}, so the list "
                "would never end; report it to the vendor"
            )
        if self.pages >= self._max_pages:
            self.check_count()
        seen.add(token)
        self._tokens_hash.update(token.encode() + b"\n")

    def check_count(self) -> None:
        """Raise PaginationError if no more pages may be read."""
        if self.pages >= self._max_pages:
            raise too_many_pages(self._endpoint.url, self._max_pages)

    def page_at(self, url: str) -> Page:
        """Return the page at a URL without counting it as one of the list. Raises the errors of an iteration."""
        self._endpoint.page = self.pages + 1
        content = self._endpoint.get(self._records_key, list, url)
        return Page(content.value, self._next_token(content.document.get("nextPaginationToken")), content.size)

    def _next_token(self, token: object) -> str | None:
        if token is None or token == "":
            return None
        if isinstance(token, str) and not re.search("[\ud800-\udfff]", token):
            return token
        raise PaginationError(
            f"{self._endpoint.description}: nextPaginationToken must be a string, got {self._endpoint.redact(token)}; "
            "report it to the vendor"
        )


def too_many_pages(name: str, max_pages: int) -> PaginationError:
    """Return the error for a list, given by its name or URL, with more than the maximum number of pages."""
    return PaginationError(
        f"{name}: the list has more than {max_pages:,} pages; if that is expected, increase the limit (--max-pages, "
        "max_pages=)"
    )
