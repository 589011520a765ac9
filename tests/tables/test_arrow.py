"""Data that Arrow reads belong to Arrow."""

from __future__ import annotations

from sweep.tables.arrow import reader


def test_a_reader_holds_the_data_and_nothing_of_pythons() -> None:
    data = bytearray(b"abc")
    file = reader(memoryview(data))
    data.clear()  # `BufferError` if the reader held it
    assert file.read() == b"abc"
    assert reader(b"").read() == b""
