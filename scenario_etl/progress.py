"""The progress bar of a run, on stderr or in a notebook."""

import math
import sys
from contextlib import closing, suppress
from typing import Protocol


class Progress(Protocol):
    """Where the pages and the waits of a run are shown."""

    def add_page(self, records: int) -> None:
        """Count a page."""

    def wait(self, reason: str, seconds: float) -> None:
        """Show the reason and the duration of a wait."""


class Bar:
    """Shows pages, records, records per second, and the reason and duration of waits.

    Attributes:
        note: Text before the number of pages.

    """

    def __init__(self, name: str) -> None:
        from tqdm.auto import tqdm  # noqa: PLC0415 - imported only if a progress bar is shown

        self._bar = tqdm(desc=name, unit=" records", dynamic_ncols=True)
        self._pages = 0
        self.note = ""

    @property
    def _text(self) -> str:
        return f"{self.note}{self._pages} page{'' if self._pages == 1 else 's'}"

    def add_page(self, records: int) -> None:
        """Count a page."""
        self._pages += 1
        with suppress(OSError):  # a full or closed stderr must not end the run
            self._bar.set_postfix_str(self._text, refresh=False)
            self._bar.update(records)

    def wait(self, reason: str, seconds: float) -> None:
        """Show the reason and the duration of a wait."""
        with suppress(OSError):
            self._bar.set_postfix_str(f"{self._text}; {reason}, waiting {math.ceil(seconds)} s")

    def refresh(self) -> None:
        """Show a changed note."""
        with suppress(OSError):
            self._bar.set_postfix_str(self._text)

    def close(self) -> None:
        """Close the bar; its last state remains visible."""
        with suppress(OSError):
            self._bar.close()


class NoBar:
    """Shows nothing."""

    note = ""

    def add_page(self, records: int) -> None:
        """Do nothing."""

    def wait(self, reason: str, seconds: float) -> None:
        """Do nothing."""

    def refresh(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class ProjectsBar:
    """Shows the progress of several projects on one bar.

    Args:
        bar: The bar.
        projects: The number of projects.

    """

    def __init__(self, bar: Bar | NoBar, projects: int) -> None:
        self._bar = bar
        self._projects = projects
        self._read = 0
        self._last = ""
        self._show()

    def add_page(self, records: int) -> None:
        """Count a page."""
        self._bar.add_page(records)

    def wait(self, reason: str, seconds: float) -> None:
        """Show the reason and the duration of a wait."""
        self._bar.wait(reason, seconds)

    def count_projects(self, read: int, last: str | None) -> None:
        """Show the number of projects that have been read, and the last one, for which the run waits."""
        self._read, self._last = read, f", waiting for {last}" if last else ""
        self._show()

    def _show(self) -> None:
        if self._projects > 1:
            self._bar.note = f"{self._read}/{self._projects} projects{self._last}, "
            self._bar.refresh()


def progress_bar(name: str, enabled: bool) -> "closing[Bar | NoBar]":
    """Return a bar to use in a `with` block."""
    if enabled and sys.stderr:
        with suppress(OSError):
            return closing(Bar(name))
    return closing(NoBar())
