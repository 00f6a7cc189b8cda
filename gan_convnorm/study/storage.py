"""A study's database: opened by several processes at once, and shown in messages without its password."""

from __future__ import annotations

import contextlib
import random
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import BaseModel
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from gan_convnorm.errors import BadInput, RunStopped

__all__ = ["named", "open_study", "storage_errors"]

#: a study sends a sign of life every HEARTBEAT seconds; after GRACE seconds without one, others take over its runs
HEARTBEAT, GRACE = 5, 20
#: processes that start at once make the tables at once, and all but one fail at it in such words
MADE_BY_ANOTHER = re.compile("already exists|unique|duplicate|locked|no such table|deadlock", re.IGNORECASE)
ATTEMPTS, PAUSE = 8, 0.2  # seconds, longer at every attempt

Free = Callable[[optuna.Study, optuna.trial.FrozenTrial], None]


def open_study(name: str, storage: str, free: Free) -> optuna.Study:
    """Return a study in a database; make both where they are missing.

    Args:
        name: of the study.
        storage: the database as SQLAlchemy addresses it.
        free: called for a run whose process is gone.

    Returns:
        Optuna's study.

    Raises:
        BadInput: the database cannot be used.

    >>> open_study("example", "nonsense", lambda study, trial: None)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: the storage nonsense cannot be used (it is no address such as sqlite:///study.db ...
    """
    for attempt in range(ATTEMPTS):
        try:
            return optuna.create_study(storage=_open(storage, free), study_name=name, load_if_exists=True)
        except (DatabaseError, StorageInternalError) as error:
            if attempt == ATTEMPTS - 1 or not MADE_BY_ANOTHER.search(f"{error} {error.__cause__}"):
                raise BadInput(_unusable(storage, error)) from None
            time.sleep(PAUSE * (attempt + random.random()))  # so that they do not meet again
        except BadInput:
            raise
        except Exception as error:  # of SQLAlchemy and of each database's driver
            raise BadInput(_unusable(storage, error)) from None  # the cause could show the address
    raise BadInput(f"the storage {named(storage)} is busy; start the study again")


@contextlib.contextmanager
def storage_errors(storage: str) -> Iterator[None]:
    """End a study whose database does not answer any more with one line.

    Raises:
        RunStopped: the database's error.

    >>> with storage_errors("sqlite:///study.db"):
    ...     raise StorageInternalError("disk I/O error")
    Traceback (most recent call last):
    gan_convnorm.errors.RunStopped: the storage sqlite:///study.db cannot be used any more (disk I/O error); ...
    """
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        raise RunStopped(
            f"the storage {named(storage)} cannot be used any more ({_reason(storage, error)}); what is done stays "
            "done, and the same command goes on"
        ) from None


def named(storage: str) -> str:
    """Return the address of a database without what may be secret: user, password and options.

    >>> named("postgresql://ann:secret@example.org/studies?sslmode=require")
    'postgresql://example.org/studies'
    """
    url = _parsed(storage)
    if url is None:
        start, at, end = storage.rpartition("@")
        return (f"{re.match(r'[a-z+]*', start)[0]}://***@" if at else "") + end.partition("?")[0]  # type: ignore[index]
    place = "".join(filter(None, [url.host, f":{url.port}" if url.port else ""]))
    return f"{url.drivername}://{place}/{url.database or ''}"


def _unusable(storage: str, error: Exception) -> str:
    return f"the storage {named(storage)} cannot be used ({_reason(storage, error)}); see --storage"


def _reason(storage: str, error: Exception) -> str:
    """Return an error's first line, or its type where the line holds a part of the address that may be secret."""
    if _parsed(storage) is None:
        return "it is no address such as sqlite:///study.db or postgresql://user:password@host/name"
    line = next(iter(str(error).splitlines()), "")
    return type(error).__name__ if not line or any(secret in line for secret in _secrets(storage)) else line


def _parsed(storage: str) -> URL | None:
    try:
        return make_url(storage)
    except Exception:  # SQLAlchemy's own, or int's of a port
        return None


def _secrets(storage: str) -> list[str]:
    found = [storage]
    url = _parsed(storage)
    if url is not None:
        values = [value if isinstance(value, str) else " ".join(value) for value in url.query.values()]
        found += [str(url.password or ""), *values]
    # As the address has them, with characters such as %23 not yet decoded.
    found += re.findall(r"//(?:[^:/@]*:)?(.*)@", storage)
    found += re.findall(r"=([^&]+)", storage.partition("?")[2])
    return [secret for secret in found if secret]


def _open(storage: str, free: Free) -> RDBStorage:
    embedded = storage.startswith("sqlite")
    if embedded:
        _check_tables(storage)
    database = RDBStorage(
        storage,
        engine_kwargs={"connect_args": {"timeout": 60}} if embedded else {},  # for another writer to end
        heartbeat_interval=HEARTBEAT,
        grace_period=GRACE,
        heartbeat_stale_trial_callback=free,
    )
    if embedded:
        # SQLite has no SELECT FOR UPDATE, by which Optuna gives a trial to one worker alone, so a transaction has the
        # database for itself from its start; sqlite3 would begin it with the first write.
        event.listen(database.engine, "connect", _begin_by_hand)
        event.listen(database.engine, "begin", _begin_at_once)
        database.engine.dispose()  # connections without these
    return database


def _check_tables(storage: str) -> None:
    """Refuse a file of another program, to which Optuna would add its tables.

    Raises:
        BadInput: there are tables, and a study's are not among them.
    """
    path = make_url(storage).database
    if not path or not Path(path).is_file():
        return
    address = f"{Path(path).absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, timeout=60, uri=True)) as connection:
        names = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
    # Another process may be making them just now.
    foreign = sorted(names - {*BaseModel.metadata.tables, "alembic_version"} - {n for n in names if n[:7] == "sqlite_"})
    if foreign and "studies" not in names:
        raise BadInput(
            f"{path} holds the table {foreign[0][:60]!r} and no study; choose another with --storage or --out"
        )


def _begin_by_hand(connection: sqlite3.Connection, record: object) -> None:
    connection.isolation_level = None


def _begin_at_once(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
