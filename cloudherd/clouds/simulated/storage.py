"""Where a simulated cloud lies on disk: one SQLite file (WAL) per account, whole from the moment it can be seen.

Rows of VMs and calls are never deleted: tokens of ended VMs are remembered, and the log is the truth that tests read.
User data is kept once however many VMs have it; `tally` holds how many VMs have no end set, so that nothing needs to
count them. Credentials never get here.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cloudherd.clouds.protocol import CloudError, ErrorKind

VERSION = 1
BUSY_SECONDS = 30.0
CACHE_KIB = 64  # of each connection; an operator has one per thread, and the system caches the file anyway
_ACCOUNT = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE vm (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    flavor TEXT NOT NULL,
    image TEXT NOT NULL,
    tags TEXT NOT NULL,
    address TEXT NOT NULL,
    created REAL NOT NULL,
    ready REAL NOT NULL,
    stopped REAL NOT NULL,
    failed REAL NOT NULL,
    ending REAL NOT NULL,
    gone REAL NOT NULL,
    message TEXT NOT NULL,
    token TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    user_data BLOB NOT NULL
) STRICT;
CREATE INDEX vm_gone ON vm (gone);
CREATE INDEX vm_address ON vm (address, gone);
CREATE UNIQUE INDEX vm_token ON vm (token) WHERE token <> '';
CREATE TABLE tally (lasting INTEGER NOT NULL) STRICT;
INSERT INTO tally VALUES (0);
CREATE TRIGGER vm_made AFTER INSERT ON vm BEGIN UPDATE tally SET lasting = lasting + 1; END;
CREATE TRIGGER vm_ended AFTER UPDATE OF gone ON vm WHEN old.gone = 9e999 AND new.gone < 9e999
    BEGIN UPDATE tally SET lasting = lasting - 1; END;
CREATE TABLE user_data (digest BLOB PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE call (
    number INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    operation TEXT NOT NULL,
    vm TEXT NOT NULL,
    token TEXT NOT NULL,
    arguments TEXT NOT NULL,
    outcome TEXT NOT NULL,
    code TEXT NOT NULL,
    made INTEGER NOT NULL
) STRICT;
CREATE TABLE fault (number INTEGER PRIMARY KEY, fault TEXT NOT NULL, times INTEGER) STRICT;
"""


def cloud_directory() -> Path:
    """`CLOUDHERD_SIMULATED_DIR`, or else a folder in the user's state."""
    if given := os.environ.get("CLOUDHERD_SIMULATED_DIR"):
        return Path(given)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "cloudherd" / "simulated"


def cloud_path(account: str, directory: Path | None = None) -> Path:
    """The file of an account's cloud. `account` is `<namespace>.<name>`."""
    if not _ACCOUNT.fullmatch(account):
        raise CloudError(ErrorKind.INVALID, "InvalidAccount", f"{account!r} is no <namespace>.<name> of an account.")
    name = account
    if len(name) > 200:  # file systems end at 255
        name = f"{account[:180]}-{hashlib.sha256(account.encode()).hexdigest()[:16]}"
    return (directory or cloud_directory()) / f"{name}.sqlite"


def open_cloud(path: Path) -> sqlite3.Connection:
    """A connection to the cloud at `path`, which is made if need be. OSError or sqlite3.Error where that fails."""
    if not path.exists():
        _make(path)
    db = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=rw",  # never an empty file where a cloud has just been removed
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,  # used by one thread at a time, but closed by whoever drops it last
    )
    try:
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        if db.execute("PRAGMA user_version").fetchone() != (VERSION,):
            raise sqlite3.DatabaseError("made by another version")
    except BaseException:
        db.close()
        raise
    return db


def _make(path: Path) -> None:
    """Made beside its place and linked into it whole: the first of several makers wins, a killed one leaves no half."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as scratch:
        draft = Path(scratch) / "cloud"
        with closing(sqlite3.connect(draft)) as db:
            db.executescript(SCHEMA)
            db.execute(f"PRAGMA user_version = {VERSION}")
        try:
            os.link(draft, path)
        except FileExistsError:
            return


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Everything or nothing, one at a time among all processes."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
