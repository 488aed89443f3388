"""What the tests of commands share: a fresh database of each kind."""

from tests.services.conftest import address

__all__ = ["address"]
