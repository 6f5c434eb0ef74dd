"""The simulated cloud does what every provider must do: plainly, and with boot time, latency and lag."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudherd.clouds.conformance import CloudUnderTest, ProviderConformance
from cloudherd.clouds.protocol import Connection
from cloudherd.clouds.simulated import Simulated, SimulatedCloud, faults
from tests.fakes.ticking import Ticking


def cloud_under_test(directory: Path, **settings: object) -> CloudUnderTest:
    clock = Ticking()
    truth = SimulatedCloud.of("physics.home", directory, now=clock.now)
    connection = Connection("physics.home", credentials={"key": "sesame-4711"}, simulated=settings)

    def refused() -> Connection:
        truth.inject(faults.deny())
        return connection

    def dead() -> Connection:
        truth.inject(faults.unreachable())
        return connection

    return CloudUnderTest(
        provider=Simulated(directory=directory, now=clock.now, sleep=clock.sleep),
        connection=connection,
        flavor="sim.small",
        image="sim-debian-12",
        absent_flavor="sim.gigantic",
        absent_image="sim-windows-95",
        absent_vm="i-999999",
        many=200,
        pause=lambda: clock.sleep(1),
        user_data=truth.user_data,
        add_foreign=truth.add_foreign,
        elsewhere=Connection("chemistry.home"),
        refused=refused,
        dead=dead,
        fill=lambda: truth.inject(faults.full()),
        deafen=lambda: truth.inject(faults.deaf()),
        lose_next_reply=lambda: truth.inject(faults.lose_reply()),
        break_listing=lambda: truth.inject(faults.truncated()),
    )


class TestPlain(ProviderConformance):
    @pytest.fixture
    def cloud(self, tmp_path: Path) -> CloudUnderTest:
        return cloud_under_test(tmp_path, capacity=1000)


class TestSlowAndLagging(ProviderConformance):
    @pytest.fixture
    def cloud(self, tmp_path: Path) -> CloudUnderTest:
        return cloud_under_test(
            tmp_path, capacity=1000, bootSeconds=20, latencySeconds=0.5, listingLagSeconds=10, limitsReadable=True
        )
