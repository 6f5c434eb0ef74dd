"""Which size or image a name stands for."""

from __future__ import annotations

from cloudherd.agent.catalogue import Untold, catalogue, lacking
from cloudherd.api.account import AccountSpec
from cloudherd.clouds.protocol import Image

IMAGES = [Image("7", "debian"), Image("8", "twice"), Image("10", "twice")]


def test_one_goes_by_its_id_and_by_a_name_that_is_its_own() -> None:
    found = catalogue(IMAGES, [])
    assert {name: image.id for name, image in found.known.items()} == {"debian": "7", "7": "7", "8": "8", "10": "10"}
    assert found.shared == {"twice": ("8", "10")}


def test_an_id_goes_before_names_however_many_bear_them() -> None:
    found = catalogue([*IMAGES, Image("twice", "other"), Image("11", "8")], [])
    assert {name: found.known[name].id for name in ("twice", "8", "other", "11")} == {
        "twice": "twice",
        "8": "8",
        "other": "twice",
        "11": "11",
    }
    assert found.shared == {}


def test_one_that_is_told_twice_is_one() -> None:
    assert catalogue([*IMAGES[:1], *IMAGES[:1]], []).shared == {}


def test_the_order_of_the_answer_makes_no_difference() -> None:
    spec = AccountSpec.model_validate({"provider": "x", "images": {"a": "twice", "b": "debian", "c": "suse"}})
    asked = spec.images.values()
    first = lacking(spec, None, catalogue(IMAGES, asked))
    assert first == lacking(spec, None, catalogue(IMAGES[::-1], asked))
    assert [(one.name, one.reason) for one in first] == [("a", "ImageAmbiguous"), ("c", "ImageUnknown")]


def test_other_words_of_one_code_are_no_news() -> None:
    assert Untold("images", "Down", "request 1 failed") == Untold("images", "Down", "request 2 failed")
    assert Untold("images", "Down", "") != Untold("flavors", "Down", "")


def test_a_sentence_fits_into_the_status() -> None:
    many = [Image(str(number) * 200, "n" * 250) for number in range(1, 9)]
    spec = AccountSpec.model_validate({"provider": "x", "images": {"a": "n" * 250, "b": "o" * 1100}})
    assert all(len(one.message) <= 1024 for one in lacking(spec, None, catalogue(many, spec.images.values())))
