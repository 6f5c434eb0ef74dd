"""What a user may write for an account that any of apache-libcloud's drivers serves: credentials and options."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Key = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=8192)]
Arguments = Annotated[dict[Name, bool | int | str], Field(max_length=16)]


class LibcloudCredentials(BaseModel):
    """The keys of the account's Secret, libcloud's own names. Other keys in it are not ours to judge."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    key: Annotated[Key, Field(repr=False)]
    secret: Annotated[Key | None, Field(repr=False)] = None


class LibcloudOptions(BaseModel):
    """spec.options of an account."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    driver: Annotated[Name, Field(description="libcloud's name of the driver, like digitalocean")]
    arguments: Annotated[Arguments, Field(description="more arguments of the driver, none of them secret")] = {}
    create_arguments: Annotated[Arguments, Field(description="more arguments of its create_node")] = {}
    tags_argument: Annotated[
        Name | None, Field(description="the argument of create_node that takes tags; left out, one that is known")
    ] = None
    user_data_argument: Annotated[
        Name | None, Field(description="the argument of create_node that takes user data; left out, one that is known")
    ] = None
    scope: Annotated[
        str | None,
        Field(
            pattern=r"^[\w.-]{1,128}$",
            description="what the account shows as its scope; to be kept where new keys lead to the same place",
        ),
    ] = None


class LibcloudLaunchOptions(BaseModel):
    """machine.options of a service: there are none; createArguments of the account hold for all its VMs."""

    model_config = ConfigDict(extra="forbid", frozen=True)
