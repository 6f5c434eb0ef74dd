"""The scalar and map types of fields that several kinds share. What is checked when reading stands here too: that
quantities, durations and percentages are what they should be, since code computes with them; all else is the API
server's to check.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator

from cloudherd.api.quantity import DURATION_PATTERN, QUANTITY_PATTERN, parse_duration, parse_quantity
from cloudherd.api.schema import Crd, Rule, text

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME_RULE = "a name has only lower-case letters, digits and hyphens{dots}, and begins and ends with a letter or digit"

Text = Annotated[str, text(1024)]
ShortText = Annotated[str, text(256)]
CloudName = Annotated[str, text(256, minLength=1)]
DnsLabel = Annotated[str, text(63, f"^{_LABEL}$", _NAME_RULE.format(dots=""))]
DnsName = Annotated[str, text(253, f"^{_LABEL}([.]{_LABEL})*$", _NAME_RULE.format(dots=" (dots between them)"))]
LabelValue = Annotated[
    str,
    text(
        63,
        "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$",
        "a label's value has only letters, digits, '-', '_' and '.', and begins and ends with a letter or digit",
    ),
]
Count = Annotated[int, Crd(minimum=0, maximum=1_000_000)]
Replicas = Annotated[int, Crd(minimum=0, maximum=10_000)]
Options = Annotated[dict[str, Any], Crd(maxProperties=32)]
Tags = Annotated[
    dict[str, ShortText],
    Crd(
        Rule(
            "self.all(key, !key.startsWith('cloudherd') && size(key) > 0 && size(key) < 128)",
            "a tag's key has 1 to 127 characters and does not begin with cloudherd, as Cloudherd's own do: rename it",
        ),
        maxProperties=32,
    ),
]
_PERCENT = "^(100|[1-9]?[0-9])%$"


def _checked_percent(value: int | str) -> int | str:
    if isinstance(value, str) and not re.fullmatch(_PERCENT, value):
        raise ValueError(f"{value!r} is no percentage; write it like 25%")
    return value


IntOrPercent = Annotated[
    int | str,
    AfterValidator(_checked_percent),
    Crd(
        Rule(
            f"type(self) == int ? self >= 0 && self <= 10000 : self.matches('{_PERCENT}')",
            "write a number of VMs from 0 to 10000, or a percentage like 25%",
        ),
        x_kubernetes_int_or_string=True,
        maxLength=8,
    ),
]


def _checked_quantity(value: str | int) -> str | int:
    parse_quantity(value)
    return value


Quantity = Annotated[
    str | int,
    AfterValidator(_checked_quantity),
    Crd(
        Rule(
            f"type(self) == int ? self >= 0 : self.matches('{QUANTITY_PATTERN}')",
            "write a quantity like 64, 500m or 256Gi, not below 0",
        ),
        x_kubernetes_int_or_string=True,
        maxLength=32,
    ),
]
MemoryQuantity = Annotated[
    Quantity,
    Crd(
        Rule("type(self) == int || !self.endsWith('m')", "memory and disk are in bytes: write them like 256Gi or 512M")
    ),
]
MemoryText = Annotated[str, AfterValidator(_checked_quantity), text(32)]


def _checked_duration(value: str) -> str:
    parse_duration(value)
    return value


def duration_between(least: str, most: str) -> Crd:
    return Crd(
        Rule(
            f"self.matches('{DURATION_PATTERN}') && duration(self) >= duration('{least}') "
            f"&& duration(self) <= duration('{most}')",
            f"write a duration from {least} to {most}, like 90s or 1h30m",
        ),
        maxLength=16,
    )


Duration = Annotated[str, AfterValidator(_checked_duration)]
Grace = Annotated[Duration, duration_between("0s", "24h")]
Timeout = Annotated[Duration, duration_between("1s", "24h")]
