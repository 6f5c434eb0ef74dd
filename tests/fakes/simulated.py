"""Simulated clouds on a ticking clock, with both of their sides at hand: the driver's and the truth."""

from __future__ import annotations

from pathlib import Path

from cloudherd.clouds.protocol import Connection, LaunchRequest
from cloudherd.clouds.simulated import Simulated, SimulatedCloud, SimulatedDriver
from tests.fakes.ticking import Ticking


class World:
    """The cloud of one account. `key` and the user data of requests are secrets that must turn up nowhere."""

    account = "physics.home"
    key = "sesame-4711"
    password = "s3cret"

    def __init__(self, directory: Path) -> None:
        self.clock = Ticking()
        self.provider = Simulated(directory=directory, now=self.clock.now, sleep=self.clock.sleep)
        self.truth = SimulatedCloud.of(self.account, directory, now=self.clock.now)

    def connection(self, **settings: object) -> Connection:
        return Connection(self.account, credentials={"key": self.key}, simulated=settings)

    def connect(self, **settings: object) -> SimulatedDriver:
        """`settings` are those of spec.simulated."""
        return self.provider.connect(self.connection(**settings))

    def request(
        self, name: str = "batch-worker-0", *, token: str = "", flavor: str = "sim.small", user_data: bytes = b""
    ) -> LaunchRequest:
        return LaunchRequest(
            token=token or f"token-of-{name}",
            name=name,
            flavor=flavor,
            image="sim-debian-12",
            tags={"cloudherd-name": name},
            user_data=user_data or f"password: {self.password}".encode(),
        )
