"""The keys that the Secret of any account may hold; each provider's own come on top."""

from __future__ import annotations

import ssl
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from cloudherd.clouds.validation import mistake

_NO_PEM = "no certificates in PEM: each goes from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"


def _pem(text: str) -> str:
    """In ASCII, as OpenSSL wants it: comments between certificates may hold anything."""
    plain = text.encode("ascii", "replace").decode()
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=plain)
    except (ValueError, ssl.SSLError):
        raise mistake(_NO_PEM) from None
    return plain


class Credentials(BaseModel):
    """The keys of an account's Secret. Other keys in it are not ours to judge. None of their values is ever shown."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True, hide_input_in_errors=True)

    ca_bundle: Annotated[
        Annotated[str, AfterValidator(_pem)] | None,
        Field(repr=False, description="certificates of CAs, in PEM, believed beside the public ones"),
    ] = None
