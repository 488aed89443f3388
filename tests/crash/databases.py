"""Where the services of a run keep their data, and how an outsider reads it."""

from pathlib import Path
from typing import Protocol


class Databases(Protocol):
    """The databases of a run; `server` says whether there is a server that can be stopped."""

    name: str
    server: bool

    def start(self) -> None:
        """Start, or start again on the same data."""
        ...

    def stop(self) -> None:
        """Stop at once, as a power cut does."""
        ...

    def close(self) -> None:
        """End whatever runs."""
        ...

    def url_template(self) -> str:
        """What the services are given; `{service}` stands for the name."""
        ...

    def outside_url(self, service: str) -> str:
        """Where the checker reads one service's effects."""
        ...


class SqliteFiles:
    """One file a service."""

    name = "sqlite"
    server = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self) -> None:
        """Nothing runs."""

    def stop(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing runs."""

    def url_template(self) -> str:
        """A file in the run's folder."""
        return f"sqlite:///{self._folder / '{service}.db'}"

    def outside_url(self, service: str) -> str:
        """The same file."""
        return self.url_template().replace("{service}", service)
