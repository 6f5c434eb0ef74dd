"""User data from templates and values: pure, and for worker processes only, since a template can use up any time and
memory.

Errors are sentences that name part and line. They never hold a value, so no text of a Python exception is passed on.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jinja2 import TemplateSyntaxError, UndefinedError
from jinja2.exceptions import SecurityError

from cloudherd.rendering.known import RefusedError, known
from cloudherd.rendering.model import MAX_USER_DATA, RenderRequest, RenderResult
from cloudherd.rendering.multipart import multipart
from cloudherd.rendering.template import compiled

FILENAME = "<template>"
MAX_ERROR = 500
TOO_LARGE = (
    f"the user data would have more than {MAX_USER_DATA} bytes, which is all that a VM can be given; "
    "shorten it or let the VM fetch the rest"
)
MISFIT = "the values do not fit what is done with them; parameters are text, and `| int` makes a number of one"
REASONS: tuple[tuple[type[Exception], str], ...] = (
    (RecursionError, "it nests or calls itself too deeply"),
    (ZeroDivisionError, "division by zero"),
    (OverflowError, "a number or a range is too large"),
    (SecurityError, "it reaches for what a template may not use"),
    (UnicodeError, "it holds characters that UTF-8 does not have"),
    (TypeError, MISFIT),
    (ValueError, MISFIT),
)


class RenderError(Exception):
    """A template that does not render: the sentence for its owner."""


def render(request: RenderRequest) -> RenderResult:
    """The user data of `request`: a single part as it is, several as MIME multipart. Raises nothing but MemoryError."""
    try:
        return RenderResult(user_data=rendered(request.parts, known(request.values)))
    except RenderError as failure:
        return RenderResult(error=str(failure))


def rendered(parts: tuple[tuple[str, str], ...], values: Mapping[str, Any]) -> bytes:
    """RenderError, if one of the templates does not render or the whole is too large."""
    for number, (content_type, _) in enumerate(parts, 1):
        if len(parts) > 1 and content_type.startswith(("multipart/", "message/")):
            raise RenderError(
                f"part {number}: a part of type {content_type} would be taken apart by its reader; "
                "write what it holds as parts of their own"
            )
    bodies = [(content_type, _body(number, source, values)) for number, (content_type, source) in enumerate(parts, 1)]
    data = bodies[0][1] if len(bodies) == 1 else multipart(bodies)
    if len(data) > MAX_USER_DATA:
        raise RenderError(TOO_LARGE)
    return data


@contextmanager
def told(number: int) -> Iterator[None]:
    """Whatever part `number` (from 1) makes jinja2 raise, also when it is only compiled, is a RenderError."""
    try:
        yield
    except (RenderError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - a foreign program can raise anything
        line = _line(error)
        where = f"part {number}, line {line}" if line else f"part {number}"
        raise RenderError(f"{where}: {_reason(error)[:MAX_ERROR]}") from None


def _body(number: int, source: str, values: Mapping[str, Any]) -> bytes:
    chunks: list[bytes] = []
    size = 0
    with told(number):
        for chunk in compiled(source).generate(values):
            chunks.append(chunk.encode())
            size += len(chunks[-1])
            if size > MAX_USER_DATA:
                raise RenderError(TOO_LARGE)
    return b"".join(chunks)


def _reason(error: Exception) -> str:
    """jinja2's words on syntax quote the template only; those of other exceptions may quote values."""
    if isinstance(error, TemplateSyntaxError):
        return (error.message or "syntax error").rstrip(".")
    if isinstance(error, (RefusedError, UndefinedError)):
        return error.message or ""
    reason = next((reason for kind, reason in REASONS if isinstance(error, kind)), "")
    return reason or f"it cannot be rendered ({type(error).__name__})"


def _line(error: Exception) -> int | None:
    if isinstance(error, TemplateSyntaxError):
        return error.lineno
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == FILENAME]
    return lines[-1] if lines else None
