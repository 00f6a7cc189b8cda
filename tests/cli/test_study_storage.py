"""A study's storage: its password is not shown, and another program's database is left alone."""

import contextlib
import sqlite3

import pytest
from small_studies import written
from sqlalchemy.exc import OperationalError

from gan_convnorm.cli.study import main
from gan_convnorm.errors import BadInput, RunStopped
from gan_convnorm.study.queue import Queue
from gan_convnorm.study.run_process import RunProcesses
from gan_convnorm.study.storage import storage_errors

SECRET = "s3cr#t"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://zoe:{}@db.example.org:5432/studies",
        "postgresql+nonsense://zoe:{}@db.example.org/studies",
        "mysql+pymysql://zoe:{}@db.example.org/studies?ssl_key=x",
        "postgresql://db.example.org/studies?user=zoe&password={}",
        "postgresql://zoe:{}@db.example.org:port/studies",
        "nonsense//zoe:{}@db.example.org/studies",
        "sqlite:///{}@db.example.org/no/such/folder/study.db?password={}",
    ],
)
@pytest.mark.parametrize("secret", [SECRET, "s3cr%23t", "s3@cr:t"])
def test_a_storage_is_named_without_its_password(tmp_path, capsys, address, secret, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["definition.yaml", "--storage", address.replace("{}", secret, 1).replace("{}", secret)])
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: the storage ") and captured.err.count("\n") == 1, captured.err
    shown = (captured.err + captured.out).replace("user:password@host", "")
    if address.startswith("sqlite"):  # whose path is no secret
        assert "password" not in shown
        return
    for part in (secret, "s3", "cr#t", "zoe", "password"):
        assert part not in shown, shown
    assert "db.example.org" in shown or "***" in shown


def test_an_error_that_repeats_the_password_is_named_by_its_type():
    storage = "postgresql://zoe:s3cret@host/studies"
    with pytest.raises(RunStopped) as caught, storage_errors(storage):
        raise OperationalError("select 1", {}, Exception("no user zoe with password s3cret"))
    assert "s3cret" not in str(caught.value) and caught.value.__cause__ is None
    assert "the storage postgresql://host/studies cannot be used any more (OperationalError)" in str(caught.value)


def test_a_storage_that_ends_in_the_middle_ends_the_study_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path)

    def gone(self, finished):
        raise OperationalError("select 1", {}, Exception("the server closed the connection"))

    monkeypatch.setattr(Queue, "run", gone)
    with pytest.raises(SystemExit) as caught:
        main(["definition.yaml", "--out", "out"])
    assert caught.value.code == 1
    assert "cannot be used any more" in capsys.readouterr().err


def test_a_storage_that_cannot_be_opened_is_one_line(tmp_path):
    with pytest.raises(BadInput, match="the storage nonsense cannot be used"):
        Queue("small", [], "nonsense", RunProcesses(tmp_path))


@pytest.mark.parametrize(
    "storage", ["nonsense", "postgresql://ann:secret@127.0.0.1:1/base", "sqlite:////proc/none/a.db"]
)
def test_a_refused_storage_leaves_no_folder(tmp_path, monkeypatch, storage):
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    with pytest.raises(SystemExit):
        main(["definition.yaml", "--storage", storage])
    assert [path.name for path in tmp_path.iterdir()] == ["definition.yaml"]


def test_another_program_s_database_is_left_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    (tmp_path / "out").mkdir()
    with contextlib.closing(sqlite3.connect("out/study.db")) as connection:
        connection.execute("create table letters (id integer primary key autoincrement)")
        connection.commit()
    before = (tmp_path / "out/study.db").read_bytes()
    for words in (["--out", "out"], ["--storage", "sqlite:///out/study.db"]):
        with pytest.raises(SystemExit) as caught:
            main(["definition.yaml", "--report", *words])
        assert caught.value.code == 2
        assert "out/study.db holds the table 'letters' and no study" in capsys.readouterr().err
    assert (tmp_path / "out/study.db").read_bytes() == before
