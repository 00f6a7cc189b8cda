"""A damaged metrics.csv costs its damaged rows, and nothing else."""

from pathlib import Path

import pytest

from gan_convnorm.errors import BadInput
from gan_convnorm.run_folder import MetricsFile, read_rows

WHOLE = b"step,d_loss,fid\r\n1,0.5,\r\n2,0.25,80.5\r\n3,nan,\r\n"


pytestmark = pytest.mark.usefixtures("working_folder")


def test_a_whole_file_is_read_in_silence(recwarn):
    Path("metrics.csv").write_bytes(WHOLE)
    assert [row["step"] for row in read_rows(Path("metrics.csv"))] == ["1", "2", "3"]
    assert not recwarn.list and read_rows(Path("none.csv")) == []


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (bytes(range(256)) * 8, []),
        (b"\x89PNG\r\n\x1a\n\0\0\0", []),
        (b"time,loss\r\n1,2\r\n", []),
        (b"1,0.5,\r\n2,0.25,80.5\r\n", []),  # the header is gone
        (WHOLE[:-5], ["1", "2"]),  # cut in the last row
        (WHOLE.replace(b"0.25", b"half"), ["1", "3"]),
        (WHOLE.replace(b"2,", b"\0,"), ["1", "3"]),
        (WHOLE + b"3,0.5,\r\n", ["1", "2", "3"]),
        (WHOLE + b"-4,0.5,\r\n", ["1", "2", "3"]),
        (WHOLE + b"4,0.5,1,2,3\r\n", ["1", "2", "3"]),
        (WHOLE + b"9" * 400 + b",0.5,\r\n", ["1", "2", "3"]),
        (WHOLE + b'4,"' + b"x" * 300_000 + b"\r\n", ["1", "2", "3"]),
        (WHOLE + b'4,"' + b"x,\r\n" * 60_000, ["1", "2", "3"]),  # a quote without an end
        ("schritt,größe\n1,2\n".encode("latin-1"), []),
    ],
)
def test_a_resumed_run_goes_on_with_the_good_rows_and_keeps_a_copy(content, kept):
    Path("metrics.csv").write_bytes(content)
    logger = MetricsFile(Path("metrics.csv"))
    with pytest.warns(UserWarning, match=r"metrics\.csv is damaged: ") as told:
        logger.keep(10)
    assert len(told) == 1
    logger.log_metrics({"d_loss": 1.5}, 11)
    logger.save()
    assert [row["step"] for row in read_rows(Path("metrics.csv"))] == [*kept, "11"]
    assert Path("metrics.damaged1.csv").read_bytes() == content


def test_what_is_no_file_is_refused():
    Path("metrics.csv").mkdir()
    with pytest.raises(BadInput, match=r"metrics\.csv is no file"):
        MetricsFile(Path("metrics.csv")).keep(10)
