from __future__ import annotations

import pytest

from cloudherd.clouds.errors import confidential, never_sent, not_from, of_creation, scrubbed, too_long
from cloudherd.clouds.protocol import MESSAGE_LIMIT, CloudError, ErrorKind


@pytest.mark.parametrize("code", ["HTTP500", "NoAnswerInTime", "NotUnderstood"])
def test_a_creation_that_nobody_answered_may_have_happened(code: str) -> None:
    error = of_creation(CloudError(ErrorKind.UNREACHABLE, code, "why"))
    assert (error.kind, error.code, error.message) == (ErrorKind.UNKNOWN, code, "why")


@pytest.mark.parametrize(
    "error",
    [
        CloudError(ErrorKind.FULL, "InsufficientInstanceCapacity"),
        CloudError(ErrorKind.THROTTLED, "RequestLimitExceeded"),
        CloudError(ErrorKind.INVALID, "InvalidParameterValue"),
        CloudError(ErrorKind.UNREACHABLE, "ConnectionRefused", never_sent=True),
    ],
)
def test_a_creation_that_was_refused_or_never_sent_did_not_happen(error: CloudError) -> None:
    assert of_creation(error) is error


def test_what_failed_before_a_creation_made_nothing() -> None:
    error = of_creation(never_sent(CloudError(ErrorKind.UNREACHABLE, "HTTP503", "why")))
    assert (error.kind, error.code, error.message, error.never_sent) == (ErrorKind.UNREACHABLE, "HTTP503", "why", True)


def test_what_the_cloud_repeats_of_our_secrets_is_taken_out() -> None:
    data = b"#cloud-config\npassword: hunter2-hunter2\n"
    code = confidential(data)[0]
    words = f"Bad input 'password: hunter2-hunter2' or {code} signed with wJalrXUt by AKIA123"
    clean = scrubbed(words, [*confidential(data), "wJalrXUt", "AKIA123"])
    assert clean == "Bad input '…' or … signed with … by …"


def test_encoded_blobs_are_taken_out_and_messages_bounded() -> None:
    words = "Encoded authorization failure message: " + "Ab3_-" * 100
    assert scrubbed(words, []) == "Encoded authorization failure message: …"
    assert len(scrubbed("many words " * 100, [])) == MESSAGE_LIMIT


def test_an_answer_of_another_program_is_told_with_the_field_to_look_at() -> None:
    sentence = "the endpoint's answer is not EC2's: check spec.endpoint, and whether the cloud is up"
    assert not_from("EC2") == sentence


def test_user_data_that_are_too_long_are_told_with_their_length_the_limit_and_the_way_out() -> None:
    error = too_long(b"#" * 3, "EC2 takes 2")
    assert (error.kind, error.code) == (ErrorKind.INVALID, "UserDataTooLong")
    assert error.message == "the user data has 3 bytes, EC2 takes 2; shorten the context"
