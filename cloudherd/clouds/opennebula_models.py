"""What a user may write for an account at OpenNebula and for a VM there: credentials, options, launch options."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from cloudherd.clouds.credentials import Credentials


class OpenNebulaCredentials(Credentials):
    """The keys of the account's Secret. Other keys in it are not ours to judge."""

    username: Annotated[str, StringConstraints(strip_whitespace=True, max_length=256, pattern=r"^[^\s:]+$")]
    password: Annotated[
        str,
        StringConstraints(strip_whitespace=True, max_length=4096, pattern=r"^[^\x00-\x1f]+$"),
        Field(repr=False, description="or a login token"),
    ]


class OpenNebulaOptions(BaseModel):
    """spec.options of an account."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    timeout_seconds: Annotated[float, Field(gt=0, le=600, description="how long to wait for an answer")] = 60


class OpenNebulaLaunchOptions(BaseModel):
    """machine.options of a service: there are none, since the template that is the flavor says it all."""

    model_config = ConfigDict(extra="forbid", frozen=True)
