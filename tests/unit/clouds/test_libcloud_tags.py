"""Tags as strings: what is written is read again, whatever it is, and what is not ours is left out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudherd.clouds.libcloud_tags import put, strings_of, tags_of
from cloudherd.clouds.protocol import CloudError

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=15)


@given(st.dictionaries(_TEXT, _TEXT, max_size=5))
def test_what_is_written_is_read_again_even_where_the_cloud_changes_the_case(tags: dict[str, str]) -> None:
    strings = strings_of(tags)
    assert all(re.fullmatch("[a-z0-9:_-]{1,255}", text) for text in strings)
    assert tags_of({"tags": strings}) == tags_of({"tags": [text.upper() for text in strings]}) == tags


def test_strings_that_are_not_of_our_form_are_left_out() -> None:
    theirs = ["web", "a b:c", "a=b", "a_b:c", "a:b:c", "_ff:x", 7]
    assert tags_of({"tags": [*theirs, "owner:_5ao_c3_ab"]}) == {"owner": "Zo\xeb"}


def test_maps_are_read_as_they_are_wherever_they_are_shown() -> None:
    assert tags_of({"metadata": {"a": 1}, "tags": {"b": "c"}, "labels": None}) == {"a": "1", "b": "c"}


def test_a_tag_that_is_too_long_is_refused_by_its_name() -> None:
    assert strings_of({"owner": "x" * 249})
    with pytest.raises(CloudError, match="the tag owner takes 256 characters there, and 255 are the most"):
        strings_of({"owner": "x" * 250})


def test_what_goes_into_a_map_leaves_what_is_there() -> None:
    arguments: dict[str, object] = {}
    put(arguments, "ex_create_attr.tags", ["a"])
    put(arguments, "ex_create_attr.backups", True)
    put(arguments, "ex_userdata", "b")
    assert arguments == {"ex_create_attr": {"tags": ["a"], "backups": True}, "ex_userdata": "b"}
