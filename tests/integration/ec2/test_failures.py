"""What the provider ec2 makes of refusals, outages and signatures, and what it never tells; on moto's server."""

from __future__ import annotations

import io
import logging
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus

import libcloud
import pytest

from cloudherd.clouds.ec2 import Ec2Driver
from cloudherd.clouds.protocol import ErrorKind
from devenv.controlplane.assets import free_port
from devenv.moto_client import MotoClient
from tests.integration.asked import everything_said, failure
from tests.integration.ec2.asked import KEYS, Connect, error_xml, request
from tests.integration.ec2_truth import FLAVOR, IMAGE, Truth

pytestmark = pytest.mark.integration

TOKEN_KEYS = {**KEYS, "sessionToken": "TOKEN-0123456789"}


class TestFailures:
    def test_an_accounts_limit_fills_every_flavor(self, moto: MotoClient, truth: Truth, driver: Ec2Driver) -> None:
        moto.knobs(limit=1)
        driver.create_vm(request())
        error = failure(lambda: driver.create_vm(request()))
        assert (error.kind, error.code, error.flavor_only) == (ErrorKind.FULL, "InstanceLimitExceeded", False)
        assert error.message.startswith("You have requested more instances")
        assert len(truth.live()) == 1

    def test_a_lack_of_one_size_fills_only_that_one(self, moto: MotoClient, driver: Ec2Driver) -> None:
        moto.knobs(capacity={FLAVOR: 0})
        error = failure(lambda: driver.create_vm(request()))
        assert (error.kind, error.code, error.flavor_only) == (ErrorKind.FULL, "InsufficientInstanceCapacity", True)
        driver.create_vm(request(flavor="t3.micro"))

    def test_openstacks_quota_fills_the_account(self, moto: MotoClient, driver: Ec2Driver) -> None:
        body = error_xml("Forbidden", "Quota exceeded for instances: Requested 1, but already used 3 of 3 instances")
        moto.knobs(answers=[{"status": 403, "body": body}])
        error = failure(lambda: driver.create_vm(request()))
        assert (error.kind, error.flavor_only) == (ErrorKind.FULL, False)

    def test_throttling(self, moto: MotoClient, truth: Truth, driver: Ec2Driver) -> None:
        moto.knobs(throttle=3)
        assert failure(driver.list_vms).kind is ErrorKind.THROTTLED
        assert failure(lambda: driver.create_vm(request())).kind is ErrorKind.THROTTLED
        assert failure(lambda: driver.destroy_vm("i-0123456789abcdef0")).kind is ErrorKind.THROTTLED
        assert truth.live() == set()

    @pytest.mark.parametrize("keys", [{**KEYS, "secretKey": "another"}, {**KEYS, "accessKey": "AKIDOTHER"}])
    def test_refused_keys_are_denied_never_an_empty_account(self, connect: Connect, keys: dict[str, str]) -> None:
        driver = connect(credentials=keys)
        calls: list[Callable[[], object]] = [
            driver.list_vms,
            lambda: driver.get_vm("i-0123456789abcdef0"),
            lambda: driver.create_vm(request()),
            lambda: driver.destroy_vm("i-0123456789abcdef0"),
            lambda: driver.images((IMAGE,)),
            lambda: driver.sizes((FLAVOR,)),
        ]
        assert {failure(call).kind for call in calls} == {ErrorKind.DENIED}

    def test_what_can_never_succeed_is_invalid_or_not_found(self, truth: Truth, driver: Ec2Driver) -> None:
        assert failure(lambda: driver.create_vm(request(image="ami-00000000"))).kind is ErrorKind.NOT_FOUND
        assert failure(lambda: driver.create_vm(request(flavor="zz.huge"))).kind is ErrorKind.NOT_FOUND
        assert failure(lambda: driver.create_vm(request(security_groups=("nobody",)))).kind is ErrorKind.INVALID
        assert truth.live() == set()

    def test_nobody_listening_is_unreachable_and_nothing_was_sent(self, connect: Connect) -> None:
        driver = connect(endpoint=f"http://127.0.0.1:{free_port()}")
        calls: list[Callable[[], object]] = [driver.list_vms, lambda: driver.create_vm(request())]
        for call in calls:
            error = failure(call)
            assert (error.kind, error.code) == (ErrorKind.UNREACHABLE, "ConnectionRefused")

    def test_a_name_that_does_not_exist_is_unreachable(self, connect: Connect) -> None:
        error = failure(connect(endpoint="http://nothing.invalid").list_vms)
        assert (error.kind, error.code) == (ErrorKind.UNREACHABLE, "NameNotResolved")

    def test_https_where_http_is_spoken_is_unreachable(self, moto: MotoClient, connect: Connect) -> None:
        error = failure(connect(endpoint=moto.url.replace("http://", "https://")).list_vms)
        assert (error.kind, error.code) == (ErrorKind.UNREACHABLE, "TlsFailed")

    def test_a_cloud_that_does_not_answer_in_time_is_unreachable(self, moto: MotoClient, connect: Connect) -> None:
        moto.knobs(delay=0.6)
        error = failure(connect({"timeoutSeconds": 0.2}).list_vms)
        assert (error.kind, error.code) == (ErrorKind.UNREACHABLE, "NoAnswerInTime")

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (400, "The server could not comply with the request"),
            (500, "Internal Server Error"),
            (502, "<html><body>Bad Gateway</body></html>"),
            (500, error_xml("ConnectFailure", "Unknown error occurred.")),
            (302, ""),
        ],
    )
    def test_what_is_no_answer_is_unreachable_and_leaves_a_launch_open(
        self, moto: MotoClient, truth: Truth, driver: Ec2Driver, status: int, body: str
    ) -> None:
        answer = {"status": status, "body": body}
        moto.knobs(answers=[answer])
        assert failure(driver.list_vms).kind is ErrorKind.UNREACHABLE
        asked = request()
        moto.knobs(answers=[{**answer, "action": "RunInstances", "carry_out": True}])
        assert failure(lambda: driver.create_vm(asked)).kind is ErrorKind.UNKNOWN
        assert truth.live() == {driver.create_vm(asked).id}

    def test_a_launch_answered_with_half_an_answer_is_unknown(
        self, moto: MotoClient, truth: Truth, driver: Ec2Driver
    ) -> None:
        asked = request()
        body = "<RunInstancesResponse><instancesSet><item><instanceId>i-"
        moto.knobs(answers=[{"status": 200, "body": body, "carry_out": True}])
        assert failure(lambda: driver.create_vm(asked)).kind is ErrorKind.UNKNOWN
        assert truth.live() == {driver.create_vm(asked).id}


class TestSignature:
    """The server checks signatures with botocore wherever the fixture set its keys: in every test above, version 4."""

    def test_version_2_is_right_too(self, truth: Truth, connect: Connect) -> None:
        driver = connect({"signatureVersion": 2})
        vm = driver.create_vm(request(name="Zoë's ~ *+ &=/"))
        assert [each.id for each in driver.list_vms().vms] == [vm.id]
        assert truth.tags(vm.id)["Name"] == "Zoë's ~ *+ &=/"
        wrong = connect({"signatureVersion": 2}, credentials={**KEYS, "secretKey": "another"})
        assert failure(wrong.list_vms).code == "SignatureDoesNotMatch"

    @pytest.mark.parametrize("version", [2, 4])
    def test_an_endpoint_may_have_a_path(self, moto: MotoClient, connect: Connect, version: int) -> None:
        body = (
            "<DescribeInstancesResponse><reservationSet><item><ownerId>9b1f</ownerId><instancesSet/></item>"
            "</reservationSet></DescribeInstancesResponse>"
        )
        moto.knobs(answers=[{"status": 200, "body": body}])
        driver = connect({"signatureVersion": version}, endpoint=f"{moto.url}/services/Cloud/")
        assert driver.list_vms().scope == "9b1f.us-east-1"

    def test_a_session_token_is_signed_and_sent(self, truth: Truth, connect: Connect) -> None:
        driver = connect(credentials={**KEYS, "sessionToken": "FwoGZXIvYXdzE+/=="})
        vm = driver.create_vm(request())
        assert truth.live() == {vm.id}

    def test_a_netrc_does_not_replace_the_signature(
        self, moto: MotoClient, connect: Connect, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login a password b\n")
        monkeypatch.setenv("NETRC", str(netrc))
        connect().list_vms()


class TestSecrecy:
    DATA = b"#cloud-config\npassword: hunter2-hunter2\nkey: a+b/c=\n"

    def forms(self, keys: dict[str, str]) -> list[str]:
        text, encoded = self.DATA.decode(), b64encode(self.DATA).decode()
        plain = [*text.splitlines()[1:], text, encoded, *keys.values()]
        return [
            form(secret) for secret in plain for form in (str, quote, quote_plus, lambda each: quote(each, safe=""))
        ]

    def test_nothing_secret_is_logged_or_said_whatever_goes_wrong(
        self, moto: MotoClient, connect: Connect, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        repeated = error_xml("InvalidUserData", f"bad: {self.DATA.decode()} {b64encode(self.DATA).decode()}")
        faults: list[dict[str, Any]] = [
            {"lose": 1},
            {"throttle": 1},
            {"limit": 0},
            {"answers": [{"status": 400, "body": repeated}]},
            {"answers": [{"status": 500, "body": repeated.replace("Error>", "E>")}]},
            {"answers": [{"status": 403, "body": error_xml("SignatureDoesNotMatch", " ".join(self.forms(KEYS)))}]},
            {"answers": [{"status": 307, "body": self.DATA.decode()}]},
            {"answers": [{"status": 200, "body": self.DATA.decode()}]},
            {"keys": {}},
            {"delay": 0.5},
        ]
        calm: dict[str, Any] = {"lose": 0, "throttle": 0, "limit": None, "delay": 0, "answers": [], "keys": None}
        errors = []
        for fault in faults:
            for version in (2, 4):
                moto.knobs(**{**calm, **fault})
                keys = KEYS if version == 2 else TOKEN_KEYS
                timeout = 0.3 if "delay" in fault else 60  # what is given up too early would meet the next fault
                driver = connect({"signatureVersion": version, "timeoutSeconds": timeout}, credentials=keys)
                asked = request(user_data=self.DATA)
                errors.append(failure(partial(driver.create_vm, asked)))
        everything = everything_said(errors, caplog)
        assert "POST / HTTP/1.1" in caplog.text  # urllib3 did log its requests
        assert [form for form in self.forms(TOKEN_KEYS) if form in everything] == []

    def test_libclouds_debug_log_gets_nothing(self, connect: Connect) -> None:
        log = io.StringIO()
        libcloud.enable_debug(log)
        try:
            connect().create_vm(request())
        finally:
            libcloud.reset_debug()
        assert log.getvalue() == ""
