"""What a user may write for an account at EC2 and for a VM there: credentials, options, launch options."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from cloudherd.api.quantity import parse_quantity
from cloudherd.clouds.credentials import Credentials
from cloudherd.clouds.ec2_batch import MOST

# A Secret made from a file often ends in a newline. What is left must fit into a request's headers.
Key = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4096, pattern=r"^[!-~]+$")]


class Ec2Credentials(Credentials):
    """The keys of the account's Secret. Other keys in it are not ours to judge."""

    access_key: Annotated[Key, Field(repr=False)]
    secret_key: Annotated[Key, Field(repr=False)]
    session_token: Annotated[Key | None, Field(repr=False)] = None


def _quantity(text: str) -> str:
    parse_quantity(text)
    return text


class _Strict(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class Ec2Size(_Strict):
    cpus: Annotated[float, Field(gt=0, le=4096)]
    memory: Annotated[str, AfterValidator(_quantity), Field(description="a quantity like 512Mi")]


class Ec2Options(_Strict):
    """spec.options of an account."""

    signature_version: Annotated[
        Literal[2, 4], Field(description="2 only for services that speak EC2's API and know no other")
    ] = 4
    page_size: Annotated[int, Field(ge=5, le=1000, description="how many reservations a page of a listing holds")] = (
        1000
    )
    tags_at_launch: Annotated[
        bool,
        Field(description="false for services that know no TagSpecification: tags are put on right after a launch"),
    ] = True
    batch: Annotated[
        int,
        Field(
            ge=1, le=MOST, description="how many VMs one call may launch; from 2 on each is claimed by a write first"
        ),
    ] = 1
    sizes: Annotated[
        dict[str, Ec2Size],
        Field(max_length=64, description="instance types that the service has and cannot describe, by name"),
    ] = {}
    timeout_seconds: Annotated[float, Field(gt=0, le=600, description="how long to wait for an answer")] = 60


class Ec2LaunchOptions(_Strict):
    """machine.options of a service."""

    spot: Annotated[bool, Field(description="a spot instance, which EC2 may take away at any time")] = False
    spot_max_price: Annotated[
        Decimal | None, Field(gt=0, description="US dollars per hour; with spot only; left out, the on-demand price")
    ] = None
    key_name: Annotated[
        str | None, Field(min_length=1, max_length=255, description="an EC2 key pair, for logging in by SSH")
    ] = None
