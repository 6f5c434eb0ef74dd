"""What an account's TLS context believes, and what is said of a certificate that it does not."""

from __future__ import annotations

import ssl

import pytest
import trustme
from libcloud.common.base import Connection

from cloudherd.clouds.protocol import ErrorKind
from cloudherd.clouds.trust import Trust, carries, disbelief

PEM = trustme.CA().cert_pem.bytes().decode()


def test_a_bundle_comes_on_top_of_the_public_cas_and_is_nobody_elses() -> None:
    own, other = Trust(PEM)._context, Trust(None)._context
    assert own.cert_store_stats()["x509"] == other.cert_store_stats()["x509"] + 1
    assert other.cert_store_stats()["x509"] > 1


@pytest.mark.parametrize("bundle", [None, PEM])
def test_chains_and_host_names_are_always_checked(bundle: str | None) -> None:
    context = Trust(bundle)._context
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT


def test_a_connection_that_is_made_anew_is_carried_as_well() -> None:
    connection, trust = Connection(host="127.0.0.1"), Trust(None)
    assert carries(trust, connection)
    connection.connect()
    assert connection.connection.session.get_adapter("https://a") is trust
    connection.connect()
    assert connection.connection.session.get_adapter("https://a") is trust


def test_what_logs_in_by_a_certificate_of_its_own_or_is_not_libclouds_cannot_be_carried() -> None:
    connection = Connection(host="127.0.0.1")
    connection.cert_file = "mine.pem"
    assert not carries(Trust(None), connection)
    assert not carries(Trust(None), None)


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (
            18,
            "CertificateNotTrusted",
            "the certificate of one.campus is signed by itself or by a CA that is not trusted",
        ),
        (20, "CertificateNotTrusted", "as caBundle into the Secret that spec.credentialsRef names"),
        (62, "CertificateForAnotherHost", "the certificate of one.campus is for other names"),
        (64, "CertificateForAnotherHost", "spec.endpoint"),
        (10, "CertificateExpired", "the certificate of one.campus or its CA's has expired"),
        (9, "CertificateNotYetValid", "clocks"),
        (26, "CertificateInvalid", "the certificate of one.campus is not valid"),
    ],
)
def test_each_fault_has_a_sentence_and_was_seen_before_anything_was_sent(number: int, code: str, words: str) -> None:
    refused = ssl.SSLCertVerificationError(1, "certificate verify failed: of /CN=one.campus")
    refused.verify_code = number
    error = disbelief(refused, "one.campus")
    assert (error.kind, error.code, error.never_sent) == (ErrorKind.UNREACHABLE, code, True)
    assert words in error.message
    assert len(error.message) < 300, "it is not cut"
