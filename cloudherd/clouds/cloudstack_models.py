"""What a user may write for an account at CloudStack and for a VM there: credentials, options, launch options."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from cloudherd.clouds.credentials import Credentials

Key = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4096, pattern=r"^[!-~]+$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class CloudStackCredentials(Credentials):
    """The keys of the account's Secret. Other keys in it are not ours to judge."""

    api_key: Annotated[Key, Field(repr=False)]
    secret_key: Annotated[Key, Field(repr=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class CloudStackOptions(_Strict):
    """spec.options of an account."""

    project: Annotated[Name | None, Field(description="the ID of a project, in place of the account itself")] = None
    expunge: Annotated[
        bool, Field(description="end VMs for good at once, where the cloud allows its users to; else it does so later")
    ] = False
    page_size: Annotated[int, Field(ge=1, le=500, description="how many VMs a page of a listing holds")] = 500
    job_seconds: Annotated[
        float, Field(ge=0, le=60, description="how long to wait for a launch to be refused before it is taken for good")
    ] = 5
    timeout_seconds: Annotated[float, Field(gt=0, le=600, description="how long to wait for an answer")] = 60


class CloudStackLaunchOptions(_Strict):
    """machine.options of a service."""

    key_name: Annotated[Name | None, Field(description="an SSH key pair of the account's, for logging in")] = None
