"""The lock beside a database file."""

import os
from pathlib import Path

import pytest

from hocket.errors import ConfigError
from hocket.store.sqlite.file_lock import FileLock


def test_a_full_disk_is_one_sentence_and_leaves_no_lock(tmp_path: Path) -> None:
    """The descriptor is closed again, so that the same process can start anew when there is room."""
    (tmp_path / "x.db.lock").symlink_to("/dev/full")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ConfigError, match=r"x.db.lock cannot be written \(No space left on device\): free some space"):
        FileLock(tmp_path / "x.db").acquire()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    (tmp_path / "x.db.lock").unlink()
    lock = FileLock(tmp_path / "x.db")
    lock.acquire()
    assert (tmp_path / "x.db.lock").read_text() == str(os.getpid())
    lock.release()
    assert (tmp_path / "x.db.lock").read_text() == ""
