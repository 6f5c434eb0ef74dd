"""Who signed a request to EC2, and whether the signature is right (by botocore, as independent of our driver's)."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from botocore.auth import SigV2Auth, SigV4Auth
from botocore.awsrequest import AWSRequest, HTTPHeaders
from botocore.credentials import Credentials
from werkzeug.wrappers import Request, Response

from devenv import moto_xml

_V4 = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/ec2/aws4_request, *SignedHeaders=([^,]+), *Signature=([0-9a-f]+)")
_V2_REGION = "us-east-1"  # a signature of version 2 names no region


class _AllHeaders(SigV4Auth):  # type: ignore[misc]
    """Signs every header it is given; botocore's own leaves some out, which other clients sign."""

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        headers = HTTPHeaders()
        for name, value in request.headers.items():
            headers[name.lower()] = value
        return headers


@dataclass(frozen=True)
class Signer:
    access_key: str
    region: str
    version: int


def signer(request: Request, parameters: Mapping[str, str]) -> Signer | None:
    """None where the request is not EC2's or not signed."""
    if match := _V4.search(request.headers.get("Authorization", "")):
        return Signer(match[1], match[2], 4)
    if parameters.get("SignatureVersion") == "2" and "AWSAccessKeyId" in parameters:
        return Signer(parameters["AWSAccessKeyId"], _V2_REGION, 2)
    return None


def refusal(
    request: Request, parameters: Mapping[str, str], who: Signer, keys: Mapping[str, str] | None
) -> Response | None:
    """What is answered to a signer whose access key is not among `keys` or whose secret key is another one."""
    if keys is None:
        return None
    if who.access_key not in keys:
        return moto_xml.error(401, "AuthFailure", "AWS was not able to validate the provided access credentials")
    if not _is_right(request, parameters, who, keys[who.access_key]):
        return moto_xml.error(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method.",
        )
    return None


def too_new(parameters: Mapping[str, str], who: Signer) -> Response | None:
    """What OpenStack's ec2-api answers, or older ones, to what they do not know; None where they do."""
    if who.version != 2:
        return moto_xml.error(401, "AuthFailure", "UNAUTHORIZED")
    if any(name.startswith("TagSpecification.") for name in parameters):
        return moto_xml.error(500, "TypeError", "Unknown error occurred.")
    return None


def _is_right(request: Request, parameters: Mapping[str, str], who: Signer, secret_key: str) -> bool:
    credentials = Credentials(who.access_key, secret_key)
    if who.version == 2:
        unsigned = {key: value for key, value in parameters.items() if key != "Signature"}
        _, expected = SigV2Auth(credentials).calc_signature(AWSRequest(request.method, request.base_url), unsigned)
        return hmac.compare_digest(expected, parameters.get("Signature", ""))
    match = _V4.search(request.headers.get("Authorization", ""))
    assert match is not None
    headers = {name: request.headers[name] for name in match[3].split(";") if name in request.headers}
    signed = AWSRequest(request.method, request.base_url, headers=headers, data=request.get_data())
    signed.params = dict(request.args.items())
    signed.context["timestamp"] = request.headers.get("X-Amz-Date", "")
    auth = _AllHeaders(credentials, "ec2", who.region)
    expected = auth.signature(auth.string_to_sign(signed, auth.canonical_request(signed)), signed)
    return hmac.compare_digest(expected, match[4])


def as_version_4(who: Signer) -> str:
    """An Authorization header by which moto, which knows no other version, finds service and region."""
    return f"AWS4-HMAC-SHA256 Credential={who.access_key}/20000101/{who.region}/ec2/aws4_request, Signature=0"
