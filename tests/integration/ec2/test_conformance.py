"""The conformance suite, on moto's server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloudherd.clouds.conformance import CloudUnderTest, ProviderConformance
from cloudherd.clouds.ec2 import Ec2
from cloudherd.clouds.protocol import Connection
from devenv.controlplane.assets import free_port
from devenv.moto_client import MotoClient
from tests.integration.ec2.asked import KEYS
from tests.integration.ec2_truth import FLAVOR, IMAGE, Truth

pytestmark = pytest.mark.integration


def cloud_under_test(moto: MotoClient, **options: object) -> CloudUnderTest:
    moto.reset()
    moto.knobs(keys={KEYS["accessKey"]: KEYS["secretKey"]})
    truth = Truth(moto)

    def account(**changes: object) -> Connection:
        settings = {"region": "us-east-1", "endpoint": moto.url, "credentials": KEYS, "options": options}
        return Connection("physics.aws", **{**settings, **changes})  # type: ignore[arg-type]

    return CloudUnderTest(
        provider=Ec2(),
        connection=account(),
        flavor=FLAVOR,
        image=IMAGE,
        absent_flavor="zz.huge",
        absent_image="ami-00000000",
        absent_vm="i-0123456789abcdef0",
        user_data=truth.user_data,
        add_foreign=lambda: truth.launch()[0],
        elsewhere=account(region="eu-west-1"),
        refused=lambda: account(credentials={**KEYS, "secretKey": "another-secret-key"}),
        dead=lambda: account(endpoint=f"http://127.0.0.1:{free_port()}"),
        fill=lambda: moto.knobs(limit=0),
        lose_next_reply=lambda: moto.knobs(lose=1),
    )


class TestEc2(ProviderConformance):
    @pytest.fixture
    def cloud(self, server: MotoClient) -> CloudUnderTest:
        failing = {"action": "DescribeInstances", "status": 500, "body": "oops", "after": 1}
        cloud = cloud_under_test(server, pageSize=5)
        return replace(cloud, break_listing=lambda: server.knobs(answers=[failing]))


class TestAServiceThatForgetsTerminatedInstancesAtOnce(ProviderConformance):
    @pytest.fixture
    def cloud(self, server: MotoClient) -> CloudUnderTest:
        cloud = cloud_under_test(server)
        server.knobs(forget_terminated=True)
        return cloud


class TestAnAccountThatLaunchesSeveralWithOneCall(ProviderConformance):
    @pytest.fixture
    def cloud(self, server: MotoClient) -> CloudUnderTest:
        return cloud_under_test(server, batch=8)
