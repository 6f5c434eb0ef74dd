"""Clouds whose answer never ends: it is given up before it fills the memory that all accounts share."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from cloudherd.clouds import transport
from cloudherd.clouds.cloudstack import CloudStack
from cloudherd.clouds.ec2 import Ec2
from cloudherd.clouds.opennebula import OpenNebula
from cloudherd.clouds.openstack import OpenStack
from cloudherd.clouds.protocol import Connection, ErrorKind, Provider
from tests.integration.asked import failure, launch

pytestmark = pytest.mark.integration

KEYS = {
    "ec2": {"accessKey": "testing", "secretKey": "testing"},
    "opennebula": {"username": "alice", "password": "open sesame"},
    "cloudstack": {"apiKey": "alices-key", "secretKey": "alices-secret"},
    "openstack": {"applicationCredentialId": "1", "applicationCredentialSecret": "s3cret"},
}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b" " * 0x10000 + b"\r\n"


@pytest.fixture
def endless() -> Iterator[tuple[str, list[int]]]:
    """Its URL, and how many bytes of body each connection was sent until nobody wanted more."""
    sent: list[int] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        sent.append(0)
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(HEAD)
            while True:
                connection.sendall(CHUNK)
                sent[-1] += len(CHUNK)

    def serve() -> None:
        with suppress(OSError):
            while True:
                answer(listening.accept()[0])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}", sent
    listening.shutdown(socket.SHUT_RDWR)
    thread.join()
    listening.close()


@pytest.mark.parametrize("provider", [Ec2(), OpenStack(), OpenNebula(), CloudStack()], ids=lambda one: str(one.name))
def test_it_is_given_up_and_says_why(provider: Provider, endless: tuple[str, list[int]]) -> None:
    url, sent = endless
    connection = Connection("physics.far", "us-east-1", url, KEYS[provider.name])
    error = failure(provider.connect(connection).list_vms)
    assert (error.kind, error.code) == (ErrorKind.UNREACHABLE, "AnswerTooLong")
    assert error.message == "the endpoint's answer is too long to be a cloud's: check spec.endpoint"
    assert sent[0] < 2 * transport.LONGEST_ANSWER


def test_of_a_launch_the_outcome_is_unknown(endless: tuple[str, list[int]]) -> None:
    driver = Ec2().connect(Connection("physics.far", "us-east-1", endless[0], KEYS["ec2"]))
    asked = launch("physics.far", ("owner", "us"), flavor="t3.small", image="ami-12c6146b")
    assert failure(lambda: driver.create_vm(asked)).kind is ErrorKind.UNKNOWN
