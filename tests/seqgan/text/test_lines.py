import gzip

import pytest

from seqgan.text.lines import read_lines


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("packed", [False, True])
def test_line_ends_byte_order_marks_and_gzip_change_nothing(tmp_path, newline, mark, packed):
    lines = ["été 猫", "", "b\x0cc\u2028d", " e "]
    data = mark + (newline.join(lines) + newline).encode()
    path = tmp_path / "text"
    path.write_bytes(gzip.compress(data) if packed else data)
    assert read_lines(path).lines == lines
    path.write_bytes(data.rstrip())
    assert read_lines(path).lines == [*lines[:-1], " e"]
