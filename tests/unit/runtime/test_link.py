"""What a connection is made of."""

from __future__ import annotations

from base64 import b64encode

from cloudherd.runtime.link import decoded


def test_a_value_that_is_no_text_is_empty_so_that_whoever_reads_it_refuses_it_by_its_name() -> None:
    data = {"key": b64encode(b"k").decode(), "caBundle": b64encode(b"0\x82\x03\xa1").decode(), "other": "?"}
    assert decoded(data) == {"key": "k", "caBundle": "", "other": ""}
    assert decoded(None) == {}
