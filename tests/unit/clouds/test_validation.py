"""What a model refuses is told in one sentence: the place, the field, the way out, and never a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from cloudherd.clouds.protocol import CloudError, ErrorKind
from cloudherd.clouds.validation import check


def refuse(value: str) -> str:
    raise ValueError(f"{value} is too simple")


def refuse_in_own_words(value: str) -> str:
    raise PydanticCustomError("too_simple", "{value} is too simple", {"value": value})


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Keys(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")

    access_key: str
    secret_key: Annotated[str, Field(min_length=12)] = "long enough"
    port: int = 443
    checked: Annotated[str, AfterValidator(refuse)] = ""
    custom: Annotated[str, AfterValidator(refuse_in_own_words)] = ""
    pet: Annotated[Cat | Dog | None, Field(discriminator="kind")] = None
    ports: list[int] = []


class Together(BaseModel):
    a: str = ""

    @model_validator(mode="after")
    def never(self) -> Together:
        raise ValueError(f"{self.a} does not fit")


class Nothing(BaseModel):
    model_config = ConfigDict(extra="forbid")


def refusal(data: Mapping[str, Any], model: type[BaseModel] = Keys) -> str:
    with pytest.raises(CloudError) as caught:
        check(model, data, "The Secret")
    assert caught.value.kind is ErrorKind.INVALID
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value.message


def test_what_fits_comes_back_as_the_model_has_it() -> None:
    assert check(Keys, {"accessKey": "a"}, "The Secret").access_key == "a"


def test_a_missing_key_is_named_with_those_that_are_known() -> None:
    message = refusal({})
    assert message.startswith("The Secret: accessKey is missing.")
    assert "Known: accessKey, checked, custom, pet, port, ports, secretKey." in message


def test_an_unknown_key_is_named() -> None:
    assert refusal({"accessKey": "a", "acessKey": "b"}).startswith("The Secret: acessKey is not known.")


def test_where_nothing_is_to_be_given_that_is_said() -> None:
    assert refusal({"spot": True}, Nothing) == "The Secret: spot is not known. Nothing is to be given here."


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"secretKey": "s3cret"}, "secretKey: string should have at least 12 characters"),
        ({"port": "s3cret"}, "port: input should be a valid integer"),
        ({"ports": [1, "s3cret"]}, "ports.1: input should be a valid integer"),
        ({"checked": "s3cret"}, "checked is not valid"),
        ({"custom": "s3cret"}, "custom is not valid"),
        ({"pet": {"kind": "s3cret"}}, "pet is not valid"),
    ],
)
def test_what_is_wrong_is_told_without_the_value(data: dict[str, Any], told: str) -> None:
    message = refusal({"accessKey": "a"} | data)
    assert told in message
    assert "s3cret" not in message


def test_fields_that_do_not_fit_together_are_told_without_their_values() -> None:
    message = refusal({"a": "s3cret"}, Together)
    assert "the fields do not fit together" in message
    assert "s3cret" not in message


def test_of_many_mistakes_some_are_told_and_the_rest_counted() -> None:
    assert "4 more" in refusal({f"unknown{number}": "x" for number in range(8)})
