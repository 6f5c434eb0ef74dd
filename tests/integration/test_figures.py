"""`make figures` on a few VMs: what it counts, not how long it takes; and that nothing of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cloudherd.clouds.ec2 import Ec2
from tests.figures.__main__ import chosen, table
from tests.figures.measure import Measurement, bound_by
from tests.figures.sites import SITES, counted_sendings, ec2

pytestmark = pytest.mark.integration

VMS = 3
LEAST = {"simulated": 1, "ec2": 1, "ec2, batch of 16": 1 / VMS, "opennebula": 2, "cloudstack": 2, "libcloud": 1}
"""Calls of a launch, but those of each thread for names."""
NAMELESS = ("simulated", "ec2", "ec2, batch of 16")  # they have none to look up
END = {"libcloud": 2}  # it looks for the node first


@pytest.mark.parametrize("row", LEAST)
async def test_calls_are_counted_where_they_arrive(row: str) -> None:
    with SITES[row]() as site:
        found = await Measurement(site).of(VMS)
    assert (found.calls_per_end, found.listing_calls) == (END.get(row, 1), 1)
    least = LEAST[row]
    if row in NAMELESS:
        assert found.calls_per_launch == least
    else:
        assert least < found.calls_per_launch < least + 4
    assert table({row: found})[1].startswith(f"{row}  {VMS} ")


async def test_as_many_are_counted_where_they_are_sent() -> None:
    with ec2() as site, counted_sendings() as sent:
        await Measurement(site).of(VMS)
        assert sent() == site.calls() > 0


@pytest.mark.parametrize(
    ("calls", "busy", "seconds", "told"),
    [
        (100, 2.0, 19.1, "5 calls a second"),
        (100, 396.0, 100.0, "4 calls at once"),
        (5, 0.5, 1.0, "neither"),
    ],
)
def test_what_took_most_of_the_time_is_told(calls: int, busy: float, seconds: float, told: str) -> None:
    assert bound_by(Ec2.capabilities, calls, busy, seconds) == told


def test_openstack_is_measured_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENSTACK", raising=False)
    assert "openstack" not in chosen([])
    assert chosen(["openstack"]) == ["openstack"]
    monkeypatch.setenv("OPENSTACK", "1")
    assert "openstack" in chosen([])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nothing_stays_of_a_run_that_is_ended(number: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.figures", "simulated", "ec2"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "N": "20"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        assert process.stderr is not None
        while "ec2: 20 VMs" not in process.stderr.readline():
            assert process.poll() is None
        moto = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().strip()
        process.send_signal(number)
        printed, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "simulated  20 " in printed
    assert moto.isdecimal()
    assert not Path(f"/proc/{moto}").exists()
    assert list(tmp_path.iterdir()) == []
