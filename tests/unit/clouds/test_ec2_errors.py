from __future__ import annotations

import pytest

from cloudherd.clouds.ec2_errors import refusal
from cloudherd.clouds.errors import not_from
from cloudherd.clouds.protocol import MESSAGE_LIMIT, ErrorKind

FULL, THROTTLED, DENIED = ErrorKind.FULL, ErrorKind.THROTTLED, ErrorKind.DENIED
INVALID, NOT_FOUND, UNREACHABLE = ErrorKind.INVALID, ErrorKind.NOT_FOUND, ErrorKind.UNREACHABLE


def xml(code: str, message: str = "") -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error>'
        f"<Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>r</RequestID></Response>"
    ).encode()


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (400, "InstanceLimitExceeded", "Your quota allows for 0 more running instance(s).", FULL),
        (400, "VcpuLimitExceeded", "You have requested more vCPU capacity than your current limit of 0 allows", FULL),
        (400, "InsufficientFreeAddressesInSubnet", "Not enough free addresses in subnet subnet-1", FULL),
        (500, "InsufficientInstanceCapacity", "We currently do not have sufficient t3.small capacity", FULL),
        (400, "MaxSpotInstanceCountExceeded", "Max spot instance count exceeded", FULL),
        (503, "RequestLimitExceeded", "Request limit exceeded.", THROTTLED),
        (400, "Throttling", "Rate exceeded", THROTTLED),
        (401, "AuthFailure", "AWS was not able to validate the provided access credentials", DENIED),
        (403, "UnauthorizedOperation", "You are not authorized to perform this operation.", DENIED),
        (403, "InvalidClientTokenId", "The security token included in the request is invalid.", DENIED),
        (403, "SignatureDoesNotMatch", "The request signature we calculated does not match", DENIED),
        (400, "RequestExpired", "Request has expired.", DENIED),
        (403, "SomethingNew", "not for you", DENIED),
        (400, "InvalidAMIID.NotFound", "The image id '[ami-1]' does not exist", NOT_FOUND),
        (400, "InvalidAMIID.Malformed", "Invalid id: 'x'", NOT_FOUND),
        (400, "InvalidAMIID.Unavailable", "The image ID 'ami-1' is no longer available", NOT_FOUND),
        (400, "InvalidInstanceID.NotFound", "The instance ID 'i-1' does not exist", NOT_FOUND),
        (400, "InvalidParameterValue", "Invalid value 'zz.huge' for InstanceType.", INVALID),
        (400, "InvalidParameterCombination", "The parameter groupName cannot be used with the subnet", INVALID),
        (400, "InvalidGroup.NotFound", "The security group 'x' does not exist in default VPC 'vpc-1'", INVALID),
        (400, "InvalidSubnetID.NotFound", "The subnet ID 'subnet-1' does not exist", INVALID),
        (400, "InvalidKeyPair.NotFound", "The key pair 'x' does not exist", INVALID),
        (400, "IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent", INVALID),
        (400, "OperationNotPermitted", "The instance 'i-1' may not be terminated.", INVALID),
        (500, "InternalError", "An internal error has occurred", UNREACHABLE),
        (503, "Unavailable", "The service is unavailable. Please try again shortly.", UNREACHABLE),
        (500, "SomethingNew", "", UNREACHABLE),
    ],
)
def test_what_aws_answers(status: int, code: str, message: str, kind: ErrorKind) -> None:
    error = refusal(status, xml(code, message))
    assert (error.kind, error.code, error.message) == (kind, code, message)


def test_a_template_that_the_service_did_not_fill_in_is_not_shown() -> None:
    words = "Value (%(value)s) for parameter %(parameter)s is invalid. %(reason)s"
    assert refusal(400, xml("InvalidParameterValue", words)).message == "Value (…) for parameter … is invalid. …"


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (403, "Forbidden", "Quota exceeded for instances: Requested 1, but already used 3 of 3 instances", FULL),
        (403, "Forbidden", "Policy doesn't allow os_compute_api:servers:create to be performed.", DENIED),
        (401, "AuthFailure", "UNAUTHORIZED", DENIED),
        (404, "AuthFailure", "NOT FOUND", DENIED),
        (400, "InvalidParameterValue", "Value (%(value)s) for parameter %(parameter)s is invalid. ", INVALID),
        (400, "ValidationError", "The input fails to satisfy the constraints", INVALID),
        (400, "InvalidRequest", "The request received was invalid.", INVALID),
        (404, "NotFound", "Instance 5a1f42c2 could not be found.", NOT_FOUND),
        (500, "ConnectFailure", "Unknown error occurred.", UNREACHABLE),
        (500, "TypeError", "Unknown error occurred.", UNREACHABLE),
    ],
)
def test_what_openstacks_ec2_api_answers(status: int, code: str, message: str, kind: ErrorKind) -> None:
    assert refusal(status, xml(code, message)).kind is kind


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b"The server could not comply with the request since it is either malformed or otherwise incorrect."),
        (500, b"Internal Server Error"),
        (502, b"<!DOCTYPE html><html><head></head><body><h1>Bad Gateway</h1></body></html>"),
        (503, b"<html><body>maintenance</body></html>"),
        (403, b"<html><Error><Code>x</Code></html>"),
        (404, b""),
        (301, b"<moved/>"),
        (400, b"\xff\xfe\x00"),
        (400, b'<?xml version="1.0" encoding="klingon"?><a/>'),
        (400, b'<!DOCTYPE a [<!ENTITY b "b">]><Response><Errors><Error><Code>&b;</Code></Error></Errors></Response>'),
    ],
)
def test_an_answer_that_is_not_ec2s_says_nothing_and_shows_nothing(status: int, body: bytes) -> None:
    error = refusal(status, body)
    assert error.kind is UNREACHABLE
    assert (error.code, error.message) == (f"HTTP{status}", not_from("EC2"))


def test_too_many_requests_is_throttling_whoever_says_it() -> None:
    assert refusal(429, b"slow down").kind is THROTTLED


def test_a_lack_of_one_size_fills_only_that_one_and_a_limit_the_whole_account() -> None:
    assert refusal(500, xml("InsufficientInstanceCapacity")).flavor_only
    assert refusal(500, xml("Server.InsufficientInstanceCapacity")).flavor_only
    assert not refusal(400, xml("InstanceLimitExceeded")).flavor_only
    assert not refusal(403, xml("Forbidden", "Quota exceeded for cores")).flavor_only


def test_another_accounts_private_image_does_not_condemn_the_credentials() -> None:
    assert refusal(403, xml("AuthFailure", "Not authorized for images: [ami-1]")).kind is NOT_FOUND


def test_errors_are_found_in_any_namespace_and_any_nesting() -> None:
    moto = b'<Response xmlns="http://x/"><Errors><Error><Code>Throttling</Code></Error></Errors></Response>'
    query = b"<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code></Error></ErrorResponse>"
    assert {refusal(400, moto).kind, refusal(400, query).kind} == {THROTTLED}


def test_a_long_code_and_message_stay_bounded_in_the_exceptions_text() -> None:
    error = refusal(400, xml("C" * 500, "m " * 5000))
    assert len(str(error)) <= 64 + 2 + MESSAGE_LIMIT


def test_line_breaks_do_not_get_into_messages() -> None:
    assert refusal(400, xml("InvalidParameterValue", "one\n   two\ttwo ")).message == "one two two"
