"""An account's settings and credentials make a Cloud, or one sentence that says what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudherd.clouds.factory import ThreadedCloudFactory
from cloudherd.clouds.protocol import CloudError, ErrorKind
from cloudherd.clouds.registry import Registry
from cloudherd.clouds.simulated import SimulatedCloud
from cloudherd.runtime.ports import Cloud, CloudFactory
from tests.fakes.simulated import World


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CloudFactory:
    monkeypatch.setenv("CLOUDHERD_SIMULATED_DIR", str(tmp_path))
    return ThreadedCloudFactory(Registry())


async def test_an_account_s_spec_makes_its_cloud(factory: CloudFactory, tmp_path: Path) -> None:
    spec = {
        "provider": "simulated",
        "simulated": {"capacity": 4, "listingLagSeconds": 5},
        "flavors": {"small": "sim.small"},
    }
    cloud: Cloud = factory("physics.home", "simulated", spec, {})
    assert (await cloud.limits()).instances == 4
    assert cloud.capabilities.visibility_seconds == 5
    vm = await cloud.create_vm(World(tmp_path).request())
    assert [each.id for each in SimulatedCloud.of("physics.home", tmp_path).vms()] == [vm.id]
    await cloud.close()


async def test_accounts_have_clouds_of_their_own(factory: CloudFactory, tmp_path: Path) -> None:
    home, away = (factory(account, "simulated", {}, {}) for account in ("physics.home", "physics.away"))
    await home.create_vm(World(tmp_path).request())
    assert (await away.list_vms()).vms == ()
    await home.close()
    await away.close()


@pytest.mark.parametrize(
    ("provider", "settings", "credentials", "told"),
    [
        ("simulatd", {}, {}, "No provider 'simulatd' is installed, only cloudstack, ec2, "),
        ("simulated", {"options": {"spot": "s3cret"}}, {}, "spec.options: spot is not known."),
        ("simulated", {}, {"password": "s3cret"}, "The Secret that spec.credentialsRef names: password is not known."),
        ("simulated", {"simulated": {"capacity": "s3cret"}}, {}, "spec.simulated: capacity: input should be a valid"),
    ],
)
def test_what_makes_no_sense_is_told_in_a_sentence(
    factory: CloudFactory, provider: str, settings: dict[str, object], credentials: dict[str, str], told: str
) -> None:
    with pytest.raises(CloudError) as caught:
        factory("physics.home", provider, settings, credentials)
    assert caught.value.kind is ErrorKind.INVALID
    assert told in caught.value.message
    assert "s3cret" not in str(caught.value)


def test_making_a_cloud_calls_nothing(factory: CloudFactory, tmp_path: Path) -> None:
    factory("physics.home", "simulated", {}, {"key": "sesame"})
    assert list(tmp_path.iterdir()) == []
