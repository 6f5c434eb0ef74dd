"""What a user may write for an account that any of apache-libcloud's drivers serves: credentials and options."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from cloudherd.clouds.credentials import Credentials

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Key = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=8192)]
Path = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}(\.[a-z][a-z0-9_]{0,62})?$")]
"""An argument, or `argument.key` of one that is a map."""
Value = bool | int | str | list[int | str]
Arguments = Annotated[dict[Name, Value], Field(max_length=16)]


class LibcloudCredentials(Credentials):
    """The keys of the account's Secret, libcloud's own names. Other keys in it are not ours to judge."""

    key: Annotated[Key, Field(repr=False)]
    secret: Annotated[Key | None, Field(repr=False)] = None


class LibcloudOptions(BaseModel):
    """spec.options of an account."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    driver: Annotated[Name, Field(description="libcloud's name of the driver, like digitalocean")]
    arguments: Annotated[Arguments, Field(description="more arguments of the driver, none of them secret")] = {}
    create_arguments: Annotated[
        dict[Path, Value], Field(max_length=16, description="more arguments of its create_node")
    ] = {}
    tags_argument: Annotated[
        Path | None, Field(description="the argument of create_node that takes tags; left out, one that is known")
    ] = None
    tags_as: Annotated[
        Literal["map", "strings"], Field(description="the shape of tags where the driver is not a known one")
    ] = "map"
    user_data_argument: Annotated[
        Path | None, Field(description="the argument of create_node that takes user data; left out, one that is known")
    ] = None
    lists_all: Annotated[
        bool, Field(description="you know that list_nodes reads all pages, of a driver of which we do not")
    ] = False
    timeout_seconds: Annotated[float, Field(gt=0, le=600, description="how long to wait for an answer")] = 60
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
