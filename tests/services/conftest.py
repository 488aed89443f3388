"""What the tests of the services share: a fresh database of each kind."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.database.server import PostgresServer


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh database, once on SQLite and once on PostgreSQL (skipped where that is not installed)."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/own.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"own_{uuid4().hex}"
    yield server.add_database(name)
    server.sql(f'DROP DATABASE "{name}" WITH (FORCE)')
