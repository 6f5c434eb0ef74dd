"""Turns what a provider's pydantic model refuses into one sentence for the user.

Must never repeat a value: credentials and options can be secret, and so can the text of a validator that is not ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType

from cloudherd.clouds.protocol import CloudError, Connection, ErrorKind

CREDENTIALS = "The Secret that spec.credentialsRef names"

M = TypeVar("M", bound=BaseModel)
N = TypeVar("N", bound=BaseModel)

_OWN_WORDS = frozenset(get_args(ErrorType))
_QUOTING = frozenset({"error", "tag"})  # what pydantic's own messages can hold of a foreign text or of the input
_OURS = "cloudherd"
_MENTIONED = 5  # mistakes told at once


def mistake(sentence: str) -> Exception:
    """For a validator of ours to raise. `sentence` is told as it is, after the field's name; braces have no place."""
    return PydanticCustomError(_OURS, sentence)


def check(model: type[M], data: Mapping[str, Any], where: str) -> M:
    """The data as the model has it. CloudError(INVALID) names `where`, the fields, and what is wrong with each."""
    try:
        return model.model_validate(dict(data))
    except ValidationError as refusal:
        mistakes = refusal.errors(include_url=False, include_input=False)
    told = [_mistake(each) for each in mistakes[:_MENTIONED]]
    if len(mistakes) > _MENTIONED:
        told.append(f"{len(mistakes) - _MENTIONED} more")
    raise CloudError(ErrorKind.INVALID, "InvalidSettings", f"{where}: {'; '.join(told)}.{_known(model)}")


def account_settings(connection: Connection, credentials: type[M], options: type[N]) -> tuple[M, N]:
    """Credentials and options as the provider's models have them; refused as by `check`, credentials first."""
    return check(credentials, connection.credentials, CREDENTIALS), check(options, connection.options, "spec.options")


def _mistake(error: ErrorDetails) -> str:
    field = ".".join(str(part) for part in error["loc"])[:64]
    match error["type"]:
        case "missing":
            return f"{field} is missing"
        case "extra_forbidden":
            return f"{field} is not known"
        case kind if kind == _OURS:
            return f"{field}: {error['msg']}"
        case kind if kind in _OWN_WORDS and _QUOTING.isdisjoint(error.get("ctx", {})):
            text = error["msg"]
            return f"{field}: {text[0].lower()}{text[1:]}" if field else text
        case _:
            return f"{field} is not valid" if field else "the fields do not fit together"


def _known(model: type[BaseModel]) -> str:
    names = sorted(each.alias or name for name, each in model.model_fields.items())
    return f" Known: {', '.join(names)}." if names else " Nothing is to be given here."
