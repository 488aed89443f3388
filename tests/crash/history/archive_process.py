"""One process of the service after the other: started, killed, and asked how far it is, from outside."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import aiohttp

from deploy.database.server import PostgresServer
from tests.crash.process_spawner import ROOT, SEARCH

#: Seconds after which a process that is not ready has failed the run.
READY_SECONDS = 240.0


class Database:
    """The service's database, as an outsider reads it."""

    def __init__(self, store: str, folder: Path) -> None:
        self._file = folder / "archive.db"
        self._server = PostgresServer(folder / "postgres") if store == "postgres" else None
        if self._server is not None:
            self._server.start()
            self._server.add_database("archive")

    @property
    def url(self) -> str:
        """What the service is given."""
        return f"sqlite:///{self._file}" if self._server is None else self._server.url("archive")

    async def rows(self, question: str) -> list[tuple[str, ...]]:
        """The answer, as text; nothing where the table is not there yet."""
        return await asyncio.to_thread(self._rows, question)

    def _rows(self, question: str) -> list[tuple[str, ...]]:
        if self._server is not None:
            return [tuple(line.split("|")) for line in self._server.sql(question, "archive").splitlines() if line]
        database = sqlite3.connect(f"file:{self._file}?mode=ro", uri=True, timeout=30.0)
        try:
            return [tuple(str(value) for value in row) for row in database.execute(question)]
        finally:
            database.close()

    def close(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.close()


@dataclass(slots=True)
class ArchiveProcess:
    """The service; `environment` is what every process of it gets."""

    port: int
    environment: Mapping[str, str]
    log: Path
    _process: "asyncio.subprocess.Process | None" = field(default=None)

    async def start(self, rounds: int) -> None:
        """Start a process that knows so many rounds."""
        environment = self.whole_environment() | {"CRASH_ROUNDS": str(rounds)}
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "hocket", "run", f"tests.crash.history.service:{self.port}",
                cwd=ROOT, env=environment, stdout=log, stderr=log,
            )  # fmt: skip

    def whole_environment(self) -> dict[str, str]:
        """What every process about it gets."""
        return {**os.environ, **SEARCH, "PYTHONUNBUFFERED": "1", **self.environment}

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process is not None and self._process.returncode is not None

    async def kill(self) -> bool:
        """SIGKILL; False where it had ended by itself."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return False
        process.kill()
        await process.wait()
        return True

    async def stop(self) -> None:
        """End it as SIGTERM does."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.terminate()
            await process.wait()

    async def ready(self) -> None:
        """Return when it is ready: history is read, and what it rebuilds serves."""
        async with asyncio.timeout(READY_SECONDS):
            while await self._status() != HTTPStatus.OK:  # noqa: ASYNC110 -- asked as a probe asks
                await asyncio.sleep(0.1)

    async def answers(self) -> bool:
        """Whether it answers at all: it has begun to work."""
        return await self._status() != 0

    async def _status(self) -> int:
        try:
            async with aiohttp.ClientSession() as http, http.get(f"{self._url}/health/ready") as answer:
                return answer.status
        except aiohttp.ClientError:
            return 0

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self.port}"
