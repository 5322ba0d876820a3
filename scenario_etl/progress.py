"""The progress bar of a run, on stderr or in a notebook."""

import sys
from contextlib import closing, suppress


class Bar:
    """Shows pages, records, records per second, and the reason and duration of waits."""

    def __init__(self, name: str) -> None:
        from tqdm.auto import tqdm  # noqa: PLC0415 - imported only if a progress bar is shown

        self._bar = tqdm(desc=name, unit=" records", dynamic_ncols=True)
        self._pages = 0

    def add_page(self, records: int) -> None:
        """Count a page."""
        self._pages += 1
        with suppress(OSError):  # a full or closed stderr must not end the run
            self._bar.set_postfix_str(f"{self._pages} pages", refresh=False)
            self._bar.update(records)

    def wait(self, reason: str, seconds: float) -> None:
        """Show the reason and the duration of a wait."""
        with suppress(OSError):
            self._bar.set_postfix_str(f"{self._pages} pages; {reason}, waiting {seconds:.0f} s")

    def close(self) -> None:
        """Close the bar; its last state remains visible."""
        with suppress(OSError):
            self._bar.close()


class NoBar:
    """Shows nothing."""

    def add_page(self, records: int) -> None:
        """Do nothing."""

    def wait(self, reason: str, seconds: float) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def progress_bar(name: str, enabled: bool) -> "closing[Bar | NoBar]":
    """Return a bar to use in a `with` block."""
    if enabled and sys.stderr:
        with suppress(OSError):
            return closing(Bar(name))
    return closing(NoBar())
