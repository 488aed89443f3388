"""The kit's metadata, and columns as they are the same in every database."""

from sqlalchemy import BigInteger, Column, Double, LargeBinary, MetaData, Text, text
from sqlalchemy.dialects.sqlite import INTEGER, REAL
from sqlalchemy.types import TypeEngine

#: All tables of the kit.
KIT = MetaData()
WHOLE: TypeEngine[int] = BigInteger().with_variant(INTEGER(), "sqlite")
REAL_NUMBER: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")


def texts(*names: str) -> list[Column[str]]:
    """Columns of text."""
    return [Column(name, Text, nullable=False) for name in names]


def whole(name: str) -> Column[int]:
    """A column of whole numbers."""
    return Column(name, WHOLE, nullable=False)


def real(name: str) -> Column[float]:
    """A column of real numbers: seconds, moments."""
    return Column(name, REAL_NUMBER, nullable=False)


def wait() -> Column[float]:
    """Seconds that were given to `due` or `until`; 0: a moment was given, or a hocket of schema 2 wrote the row."""
    return Column("wait", REAL_NUMBER, nullable=False, server_default=text("0"))


def raw(name: str) -> Column[bytes]:
    """A column of bytes."""
    return Column(name, LargeBinary, nullable=False)
