import json

import pytest

from cloudherd.rendering.model import RenderResult
from cloudherd.rendering.worker import LENGTH, decoded, encoded
from tests.unit.rendering.namespace import VALUES, request


def test_a_frame_is_its_length_and_json() -> None:
    frame = encoded(request("é"), checked=True)
    assert LENGTH.unpack(frame[:4]) == (len(frame) - 4,)
    assert json.loads(frame[4:]) == {"check": True, "parts": [["text/cloud-config", "é"]], "values": VALUES}


def test_an_answer_is_user_data_or_a_sentence_and_nothing_else() -> None:
    assert decoded(b"+\xff\x00") == RenderResult(user_data=b"\xff\x00")
    assert decoded("-part é".encode()) == RenderResult(error="part é")
    for strange in (b"", b"x", b"\x80\x04pickle", b"-\xff"):
        with pytest.raises(ValueError, match=r"no answer|utf-8"):
            decoded(strange)
