"""The conformance suite has teeth: a cloud that breaks the protocol in one place fails it there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from pathlib import Path

import pytest
from _pytest.outcomes import Failed

from cloudherd.clouds.conformance import CloudUnderTest, ProviderConformance
from cloudherd.clouds.protocol import VM, CloudError, Connection, ErrorKind, LaunchRequest, Listing
from cloudherd.clouds.simulated import Simulated, SimulatedDriver, faults
from tests.fakes.simulated import World

Test = Callable[..., None]
SUITE = ProviderConformance()


class Broken(SimulatedDriver):
    """Right but for what a subclass breaks."""


class LosesPages(Broken):
    def list_vms(self) -> Listing:
        listing = super().list_vms()
        return replace(listing, vms=listing.vms[:5])


class ForgetsTheFailedPage(Broken):
    def list_vms(self) -> Listing:
        return replace(super().list_vms(), complete=True)


class ForgetsTokens(Broken):
    def create_vm(self, request: LaunchRequest) -> VM:
        return super().create_vm(replace(request, token=""))


class TagsLater(Broken):
    def create_vm(self, request: LaunchRequest) -> VM:
        return super().create_vm(replace(request, tags={}))


class TruncatesUserData(Broken):
    def create_vm(self, request: LaunchRequest) -> VM:
        return super().create_vm(replace(request, user_data=request.user_data[:16000]))


class DecodesUserData(Broken):
    def create_vm(self, request: LaunchRequest) -> VM:
        return super().create_vm(replace(request, user_data=request.user_data.decode(errors="replace").encode()))


class EmptyWhenDenied(Broken):
    def list_vms(self) -> Listing:
        try:
            return super().list_vms()
        except CloudError:
            return Listing("physics.home", ())


class NoneWhenUnreachable(Broken):
    def get_vm(self, vm_id: str) -> VM | None:
        try:
            return super().get_vm(vm_id)
        except CloudError:
            return None


class QuotesItsRequest(Broken):
    def create_vm(self, request: LaunchRequest) -> VM:
        try:
            return super().create_vm(request)
        except CloudError as error:
            raise CloudError(error.kind, error.code, f"in {request.user_data[:40]!r}") from None


class LaunchesAgain(Broken):
    def create_vm(self, request: LaunchRequest) -> VM:
        try:
            return super().create_vm(request)
        except CloudError:
            super().create_vm(replace(request, token=request.token + "-again"))
            raise


class CallsFullInvalid(Broken):
    def create_vm(self, request: LaunchRequest) -> VM:
        try:
            return super().create_vm(request)
        except CloudError as error:
            raise CloudError(ErrorKind.INVALID, error.code) from None


class RaisesItsOwn(Broken):
    def list_vms(self) -> Listing:
        try:
            return super().list_vms()
        except CloudError:
            raise ConnectionError from None


class ComplainsOfTheGone(Broken):
    def destroy_vm(self, vm_id: str) -> None:
        if super().get_vm(vm_id) is None:
            raise CloudError(ErrorKind.NOT_FOUND, "InvalidInstanceID.NotFound")
        super().destroy_vm(vm_id)


class DestroysNothing(Broken):
    def destroy_vm(self, vm_id: str) -> None:
        pass


class DestroysAll(Broken):
    def destroy_vm(self, vm_id: str) -> None:
        super().destroy_vm(vm_id)
        for vm in super().list_vms().vms:
            super().destroy_vm(vm.id)


class HidesForeigners(Broken):
    def list_vms(self) -> Listing:
        listing = super().list_vms()
        return replace(listing, vms=tuple(vm for vm in listing.vms if vm.tags))


class ScopeOfTheDay(Broken):
    def list_vms(self) -> Listing:
        listing = super().list_vms()
        return replace(listing, scope=f"physics.home {len(listing.vms)}")


CASES: list[tuple[type[Broken], Test]] = [
    (LosesPages, SUITE.test_every_vm_is_listed_however_many_there_are),
    (ForgetsTheFailedPage, SUITE.test_a_listing_that_fails_in_the_middle_is_never_taken_for_whole),
    (ForgetsTokens, SUITE.test_the_same_request_again_is_the_same_vm),
    (ForgetsTokens, SUITE.test_the_same_request_at_once_is_one_vm),
    (ForgetsTokens, SUITE.test_a_token_with_another_request_is_refused),
    (ForgetsTokens, SUITE.test_the_token_of_an_ended_vm_brings_no_second_one_up),
    (ForgetsTokens, SUITE.test_after_a_lost_reply_the_same_request_finds_the_vm),
    (LaunchesAgain, SUITE.test_a_lost_reply_is_an_unknown_outcome_and_its_one_vm_is_listed_with_its_identity),
    (CallsFullInvalid, SUITE.test_a_lost_reply_is_an_unknown_outcome_and_its_one_vm_is_listed_with_its_identity),
    (TagsLater, SUITE.test_a_lost_reply_is_an_unknown_outcome_and_its_one_vm_is_listed_with_its_identity),
    (TagsLater, SUITE.test_tags_are_there_from_the_first_moment),
    (TagsLater, SUITE.test_a_vm_looks_the_same_in_a_listing_and_by_its_id),
    (TruncatesUserData, SUITE.test_user_data_may_be_as_long_as_declared),
    (TruncatesUserData, SUITE.test_longer_user_data_is_refused_and_nothing_is_made),
    (DecodesUserData, SUITE.test_user_data_arrives_byte_for_byte),
    (EmptyWhenDenied, SUITE.test_refused_credentials_are_denied_never_an_empty_account),
    (EmptyWhenDenied, SUITE.test_a_dead_endpoint_is_unreachable_never_an_empty_account),
    (NoneWhenUnreachable, SUITE.test_a_dead_endpoint_is_unreachable_never_an_empty_account),
    (QuotesItsRequest, SUITE.test_longer_user_data_is_refused_and_nothing_is_made),
    (QuotesItsRequest, SUITE.test_a_dead_endpoint_is_unreachable_never_an_empty_account),
    (CallsFullInvalid, SUITE.test_a_full_cloud_says_so_and_makes_nothing),
    (CallsFullInvalid, SUITE.test_an_unknown_image_is_not_found_and_nothing_is_made),
    (RaisesItsOwn, SUITE.test_a_dead_endpoint_is_unreachable_never_an_empty_account),
    (ComplainsOfTheGone, SUITE.test_destroying_twice_is_no_error),
    (ComplainsOfTheGone, SUITE.test_destroying_what_never_was_is_no_error),
    (DestroysNothing, SUITE.test_a_destroyed_vm_goes_and_the_others_stay),
    (DestroysAll, SUITE.test_a_destroyed_vm_goes_and_the_others_stay),
    (HidesForeigners, SUITE.test_other_peoples_vms_are_listed_too),
    (ScopeOfTheDay, SUITE.test_the_scope_is_always_the_same),
]


class Provider(Simulated):
    """Simulated, with the drivers of a class that the test chooses."""

    def __init__(self, world: World, kind: type[SimulatedDriver]) -> None:
        super().__init__()
        self._world = world
        self._kind = kind

    def connect(self, connection: Connection) -> SimulatedDriver:
        driver = self._world.provider.connect(connection)
        driver.__class__ = self._kind
        return driver


def under_test(world: World, kind: type[SimulatedDriver]) -> CloudUnderTest:
    def struck_by(fault: faults.Fault) -> Connection:
        world.truth.inject(fault)
        return world.connection()

    return CloudUnderTest(
        provider=Provider(world, kind),
        connection=world.connection(),
        flavor="sim.small",
        image="sim-debian-12",
        absent_image="sim-windows-95",
        absent_vm="i-999999",
        pause=lambda: world.clock.sleep(1),
        user_data=world.truth.user_data,
        add_foreign=world.truth.add_foreign,
        refused=lambda: struck_by(faults.deny()),
        dead=lambda: struck_by(faults.unreachable()),
        fill=lambda: world.truth.inject(faults.full()),
        lose_next_reply=lambda: world.truth.inject(faults.lose_reply()),
        break_listing=lambda: world.truth.inject(faults.truncated()),
    )


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudherd.clouds.conformance.subject.PATIENCE", 0.2)


@pytest.mark.parametrize(("kind", "test"), CASES, ids=[f"{kind.__name__}-{test.__name__}" for kind, test in CASES])
def test_a_breach_of_the_protocol_is_caught(tmp_path: Path, kind: type[Broken], test: Test) -> None:
    cloud = under_test(World(tmp_path), kind)
    with pytest.raises((AssertionError, Failed, ConnectionError, CloudError)):
        run(test, cloud)


@pytest.mark.parametrize("test", {test.__name__: test for _, test in CASES}.values(), ids=lambda test: test.__name__)
def test_what_keeps_the_protocol_passes(tmp_path: Path, test: Test) -> None:
    cloud = under_test(World(tmp_path), SimulatedDriver)
    run(test, cloud)


def run(test: Test, cloud: CloudUnderTest) -> None:
    wanted = signature(test).parameters
    test(**{name: value for name, value in {"cloud": cloud, "driver": cloud.driver()}.items() if name in wanted})
