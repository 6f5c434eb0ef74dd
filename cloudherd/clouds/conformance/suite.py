"""The tests themselves. Each stands for a way in which a cloud has lost, doubled or leaked somebody's VMs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import cast

import pytest
from pydantic import BaseModel

from cloudherd.clouds.conformance.subject import (
    PATIENCE,
    UP_OR_COMING,
    CloudUnderTest,
    ask,
    declared,
    end,
    failure,
    given,
    launch,
    listed,
    wait_for,
    wait_gone,
    wait_listed,
    wait_state,
)
from cloudherd.clouds.protocol import BatchDriver, CloudError, Driver, ErrorKind, Verb, VMState


class ProviderConformance:
    """Derive from it, name the class `Test...`, override `cloud`. Drivers may raise CloudError and nothing else."""

    @pytest.fixture
    def cloud(self) -> CloudUnderTest:
        raise NotImplementedError("override the fixture `cloud`")

    @pytest.fixture
    def driver(self, cloud: CloudUnderTest) -> Driver:
        return cloud.driver()

    # What a provider says of itself

    def test_a_provider_has_a_name_capabilities_and_models(self, cloud: CloudUnderTest) -> None:
        provider = cloud.provider
        assert provider.name == provider.name.lower()
        assert provider.capabilities.max_user_data >= 1024
        assert provider.capabilities.visibility_seconds >= 0
        for model in (provider.credentials_model, provider.options_model, provider.launch_options_model):
            assert issubclass(model, BaseModel)

    def test_credentials_and_options_of_the_account_satisfy_the_models(self, cloud: CloudUnderTest) -> None:
        cloud.provider.credentials_model.model_validate(dict(cloud.connection.credentials))
        cloud.provider.options_model.model_validate(dict(cloud.connection.options))

    def test_connecting_calls_nothing(self, cloud: CloudUnderTest) -> None:
        dead = given(cloud.dead, "no dead endpoint given")()
        cloud.provider.connect(dead)

    # Listings

    def test_an_empty_account_is_listed_as_empty_and_complete(self, driver: Driver) -> None:
        listing = driver.list_vms()
        assert listing.complete
        assert listing.vms == ()
        assert listing.scope

    def test_every_vm_is_listed_however_many_there_are(self, cloud: CloudUnderTest, driver: Driver) -> None:
        made = {driver.create_vm(launch(cloud)).id for _ in range(cloud.many)}
        assert len(made) == cloud.many
        wait_listed(cloud, driver, *made)
        assert set(listed(driver)) == made

    def test_a_listing_that_fails_in_the_middle_is_never_taken_for_whole(
        self, cloud: CloudUnderTest, driver: Driver
    ) -> None:
        break_listing = given(cloud.break_listing, "no way to break a listing given")
        made = {driver.create_vm(launch(cloud)).id for _ in range(cloud.many)}
        wait_listed(cloud, driver, *made)
        break_listing()
        try:
            looks_whole = driver.list_vms().complete
        except CloudError:
            looks_whole = False
        assert not looks_whole
        assert set(listed(driver)) == made, "the next one is whole again"

    def test_the_scope_is_always_the_same(self, cloud: CloudUnderTest, driver: Driver) -> None:
        before = driver.list_vms().scope
        driver.create_vm(launch(cloud))
        assert driver.list_vms().scope == before
        assert cloud.driver().list_vms().scope == before

    def test_another_scope_shares_nothing(self, cloud: CloudUnderTest, driver: Driver) -> None:
        elsewhere = given(cloud.elsewhere, "no other scope given")
        other = cloud.provider.connect(elsewhere)
        vm = driver.create_vm(launch(cloud))
        wait_listed(cloud, driver, vm.id)
        assert other.list_vms().scope != driver.list_vms().scope
        assert vm.name not in {each.name for each in listed(other).values()}

    def test_other_peoples_vms_are_listed_too(self, cloud: CloudUnderTest, driver: Driver) -> None:
        add_foreign = given(cloud.add_foreign, "no way to make a foreign VM given")
        foreign = add_foreign()
        wait_listed(cloud, driver, foreign)
        assert "cloudherd-installation" not in listed(driver)[foreign].tags

    # Creation

    def test_a_new_vm_comes_up_with_an_address(self, cloud: CloudUnderTest, driver: Driver) -> None:
        vm = driver.create_vm(launch(cloud))
        assert vm.state in UP_OR_COMING

        def up() -> bool:
            seen = driver.get_vm(vm.id)
            return seen is not None and seen.state is VMState.RUNNING and bool(seen.private or seen.public)

        wait_for(cloud, "the VM runs with an address", up)

    def test_a_vm_looks_the_same_in_a_listing_and_by_its_id(self, cloud: CloudUnderTest, driver: Driver) -> None:
        request = launch(cloud)
        vm = driver.create_vm(request)
        wait_listed(cloud, driver, vm.id)
        for seen in (driver.get_vm(vm.id), listed(driver)[vm.id]):
            assert seen is not None
            assert (seen.id, seen.name, seen.flavor) == (vm.id, request.name, request.flavor)
            assert request.tags.items() <= seen.tags.items()

    def test_tags_are_there_from_the_first_moment(self, cloud: CloudUnderTest, driver: Driver) -> None:
        declared(cloud.capabilities.tags_at_creation, "tags at creation")
        request = launch(cloud)
        vm = driver.create_vm(request)
        assert request.tags.items() <= vm.tags.items()
        seen = driver.get_vm(vm.id)
        assert seen is not None
        assert request.tags.items() <= seen.tags.items()

    def test_addresses_belong_to_one_vm_each(self, cloud: CloudUnderTest, driver: Driver) -> None:
        made = {driver.create_vm(launch(cloud)).id for _ in range(3)}

        def addressed() -> bool:
            return all(vm.private or vm.public for key, vm in listed(driver).items() if key in made)

        wait_listed(cloud, driver, *made)
        wait_for(cloud, "all have addresses", addressed)
        addresses = [address for vm in listed(driver).values() for address in (*vm.private, *vm.public)]
        assert len(set(addresses)) == len(addresses)

    def test_an_unknown_image_is_not_found_and_nothing_is_made(self, cloud: CloudUnderTest, driver: Driver) -> None:
        absent = given(cloud.absent_image, "no absent image given")
        error = failure(lambda: driver.create_vm(launch(cloud, image=absent)))
        assert error.kind is ErrorKind.NOT_FOUND
        assert listed(driver) == {}

    def test_an_unknown_flavor_is_not_found_and_nothing_is_made(self, cloud: CloudUnderTest, driver: Driver) -> None:
        absent = given(cloud.absent_flavor, "no absent flavor given")
        error = failure(lambda: driver.create_vm(launch(cloud, flavor=absent)))
        assert error.kind in {ErrorKind.NOT_FOUND, ErrorKind.INVALID}
        assert listed(driver) == {}

    # User data

    def test_user_data_arrives_byte_for_byte(self, cloud: CloudUnderTest, driver: Driver) -> None:
        user_data = given(cloud.user_data, "no way to read user data given")
        data = b"#!/bin/sh\necho '\xc3\xa9 <&> %s + %20'\r\n"
        if cloud.capabilities.binary_user_data:
            data += b"\0\xff\xfe"
        vm = driver.create_vm(launch(cloud, user_data=data))
        assert user_data(vm.id) == data

    def test_user_data_may_be_as_long_as_declared(self, cloud: CloudUnderTest, driver: Driver) -> None:
        data = b"#" * cloud.capabilities.max_user_data
        vm = driver.create_vm(launch(cloud, user_data=data))
        if cloud.user_data is not None:
            assert cloud.user_data(vm.id) == data

    def test_longer_user_data_is_refused_and_nothing_is_made(self, cloud: CloudUnderTest, driver: Driver) -> None:
        data = b"s3cret-" + b"#" * cloud.capabilities.max_user_data
        error = failure(lambda: driver.create_vm(launch(cloud, user_data=data)))
        assert error.kind is ErrorKind.INVALID
        assert "s3cret" not in f"{error}{error.message}"
        assert listed(driver) == {}

    # The token

    def test_the_same_request_again_is_the_same_vm(self, cloud: CloudUnderTest, driver: Driver) -> None:
        self.needs_token(cloud)
        request = launch(cloud)
        first = driver.create_vm(request)
        assert driver.create_vm(request).id == first.id
        assert cloud.driver().create_vm(request).id == first.id
        wait_listed(cloud, driver, first.id)
        assert set(listed(driver)) == {first.id}

    def test_the_same_request_at_once_is_one_vm(self, cloud: CloudUnderTest, driver: Driver) -> None:
        self.needs_token(cloud)
        request = launch(cloud)
        together = threading.Barrier(4)

        def create(_: int) -> str:
            own = cloud.driver()
            together.wait(PATIENCE)
            return own.create_vm(request).id

        with ThreadPoolExecutor(4) as pool:
            made = set(pool.map(create, range(4)))
        assert len(made) == 1
        wait_listed(cloud, driver, *made)
        assert set(listed(driver)) == made

    def test_other_tokens_are_other_vms(self, cloud: CloudUnderTest, driver: Driver) -> None:
        request = launch(cloud)
        first = driver.create_vm(request)
        second = driver.create_vm(replace(request, token=request.token + "-other", name=request.name + "-other"))
        assert first.id != second.id

    def test_a_token_with_another_request_is_refused(self, cloud: CloudUnderTest, driver: Driver) -> None:
        self.needs_token(cloud)
        request = launch(cloud)
        vm = driver.create_vm(request)
        error = failure(lambda: driver.create_vm(replace(request, user_data=b"#cloud-config\n{other: 1}\n")))
        assert error.kind is ErrorKind.INVALID
        wait_listed(cloud, driver, vm.id)
        assert set(listed(driver)) == {vm.id}

    def test_the_token_of_an_ended_vm_brings_no_second_one_up(self, cloud: CloudUnderTest, driver: Driver) -> None:
        self.needs_token(cloud)
        request = launch(cloud)
        vm = driver.create_vm(request)
        end(cloud, driver, vm.id)
        wait_gone(cloud, driver, vm.id)
        outcome: str
        try:
            outcome = driver.create_vm(request).id
        except CloudError as error:
            outcome = error.kind
        assert outcome in {vm.id, ErrorKind.INVALID}
        assert listed(driver) == {}

    def test_after_a_lost_reply_the_same_request_finds_the_vm(self, cloud: CloudUnderTest, driver: Driver) -> None:
        self.needs_token(cloud)
        lose_next_reply = given(cloud.lose_next_reply, "no way to lose a reply given")
        request = launch(cloud)
        lose_next_reply()
        error = failure(lambda: driver.create_vm(request))
        assert error.kind in {ErrorKind.UNKNOWN, ErrorKind.UNREACHABLE}
        vm = cloud.driver().create_vm(request)
        wait_listed(cloud, driver, vm.id)
        assert set(listed(driver)) == {vm.id}

    def test_a_lost_reply_is_an_unknown_outcome_and_its_one_vm_is_listed_with_its_identity(
        self, cloud: CloudUnderTest, driver: Driver
    ) -> None:
        declared(cloud.capabilities.tags_at_creation, "tags at creation")
        lose_next_reply = given(cloud.lose_next_reply, "no way to lose a reply given")
        request = launch(cloud)
        lose_next_reply()
        assert failure(lambda: driver.create_vm(request)).kind is ErrorKind.UNKNOWN
        wait_for(cloud, "the VM is listed", lambda: bool(listed(driver)))
        identity = {(key, value) for key, value in request.tags.items() if key.startswith("cloudherd-")}
        assert [identity <= vm.tags.items() for vm in listed(driver).values()] == [True]

    # Several with one call

    def test_vms_of_one_call_bear_tags_of_their_own(self, cloud: CloudUnderTest, driver: Driver) -> None:
        most = cloud.capabilities.batch
        declared(most > 1, "batch launches")
        first = launch(cloud)
        others = [launch(cloud) for _ in range(1, min(most, 3))]
        alike = [first, *(replace(first, token=one.token, name=one.name, tags=one.tags) for one in others)]
        made = cast(BatchDriver, driver).create_vms(alike)
        ids = [vm.id for vm in made if vm]
        assert len(set(ids)) == len(alike)
        wait_listed(cloud, driver, *ids)
        for vm_id, request in zip(ids, alike, strict=True):
            for seen in (driver.get_vm(vm_id), listed(driver)[vm_id]):
                assert seen is not None
                assert request.tags.items() <= seen.tags.items()

    # The end

    def test_a_destroyed_vm_goes_and_the_others_stay(self, cloud: CloudUnderTest, driver: Driver) -> None:
        kept, gone = driver.create_vm(launch(cloud)), driver.create_vm(launch(cloud))
        wait_listed(cloud, driver, kept.id, gone.id)
        end(cloud, driver, gone.id)
        wait_gone(cloud, driver, gone.id)
        assert set(listed(driver)) == {kept.id}

    def test_destroying_twice_is_no_error(self, cloud: CloudUnderTest, driver: Driver) -> None:
        vm = driver.create_vm(launch(cloud))
        end(cloud, driver, vm.id)
        end(cloud, driver, vm.id)
        wait_gone(cloud, driver, vm.id)
        driver.destroy_vm(vm.id)

    def test_destroying_what_never_was_is_no_error(self, cloud: CloudUnderTest, driver: Driver) -> None:
        driver.destroy_vm(cloud.absent_vm)

    def test_a_vm_that_never_was_is_none(self, cloud: CloudUnderTest, driver: Driver) -> None:
        assert driver.get_vm(cloud.absent_vm) is None

    # What can be asked of a VM that stays

    @pytest.mark.parametrize(
        ("down", "up", "at_rest"),
        [
            (Verb.SHUT_DOWN, Verb.START, VMState.STOPPED),
            (Verb.STOP, Verb.START, VMState.STOPPED),
            (Verb.SUSPEND, Verb.RESUME, VMState.SUSPENDED),
        ],
    )
    def test_a_vm_rests_and_comes_back_as_it_was(
        self, cloud: CloudUnderTest, driver: Driver, down: Verb, up: Verb, at_rest: VMState
    ) -> None:
        declared(down in cloud.capabilities.verbs, f"way to {down}")
        vm = driver.create_vm(launch(cloud))
        wait_state(cloud, driver, vm.id, VMState.RUNNING)
        ask(cloud, driver, vm.id, down)
        wait_state(cloud, driver, vm.id, at_rest)
        if up in cloud.capabilities.verbs:
            ask(cloud, driver, vm.id, up)
            wait_state(cloud, driver, vm.id, VMState.RUNNING)
        seen = listed(driver)[vm.id]
        assert (seen.name, dict(seen.tags)) == (vm.name, dict(vm.tags))

    def test_a_guest_that_is_deaf_runs_on_after_a_shutdown_and_is_switched_off(
        self, cloud: CloudUnderTest, driver: Driver
    ) -> None:
        declared({Verb.SHUT_DOWN, Verb.STOP} <= cloud.capabilities.verbs, "way to shut down, and to stop")
        deafen = given(cloud.deafen, "no way to make guests deaf given")
        vm = driver.create_vm(launch(cloud))
        wait_state(cloud, driver, vm.id, VMState.RUNNING)
        deafen()
        ask(cloud, driver, vm.id, Verb.SHUT_DOWN)
        seen = driver.get_vm(vm.id)
        assert seen is not None
        assert seen.state is not VMState.STOPPED
        wait_state(cloud, driver, vm.id, VMState.RUNNING)
        ask(cloud, driver, vm.id, Verb.STOP)
        wait_state(cloud, driver, vm.id, VMState.STOPPED)

    # What an account can have

    def test_the_flavor_is_among_the_sizes_with_what_it_holds(self, cloud: CloudUnderTest, driver: Driver) -> None:
        found = [size for size in driver.sizes() if cloud.flavor in (size.id, size.name)]
        assert len(found) == 1
        assert found[0].cpus > 0
        assert found[0].memory >= 2**20

    def test_of_the_wanted_images_those_that_exist_are_found(self, cloud: CloudUnderTest, driver: Driver) -> None:
        wanted = tuple(image for image in (cloud.image, cloud.absent_image) if image)
        assert [cloud.image in (image.id, image.name) for image in driver.images(wanted)] == [True]
        assert driver.images(()) == []

    def test_limits_are_told_where_they_are_declared(self, cloud: CloudUnderTest, driver: Driver) -> None:
        limits = driver.limits()
        if cloud.capabilities.limits_readable:
            assert any(limit is not None for limit in (limits.instances, limits.cpus, limits.memory))

    # Failures

    def test_a_full_cloud_says_so_and_makes_nothing(self, cloud: CloudUnderTest, driver: Driver) -> None:
        fill = given(cloud.fill, "no way to fill the cloud given")
        fill()
        before = set(listed(driver))
        error = failure(lambda: driver.create_vm(launch(cloud)))
        assert error.kind is ErrorKind.FULL
        assert error.code
        assert set(listed(driver)) == before

    def test_refused_credentials_are_denied_never_an_empty_account(self, cloud: CloudUnderTest, driver: Driver) -> None:
        vm = driver.create_vm(launch(cloud))
        refused = given(cloud.refused, "no refused credentials given")()
        for error in self.every_call_fails(cloud, cloud.provider.connect(refused), vm.id):
            assert error.kind is ErrorKind.DENIED
            for secret in refused.credentials.values():
                assert secret not in f"{error}{error.code}{error.message}"

    def test_a_dead_endpoint_is_unreachable_never_an_empty_account(self, cloud: CloudUnderTest) -> None:
        dead = given(cloud.dead, "no dead endpoint given")()
        for error in self.every_call_fails(cloud, cloud.provider.connect(dead), cloud.absent_vm):
            assert error.kind in {ErrorKind.UNREACHABLE, ErrorKind.UNKNOWN}
            for secret in ("s3cret", *dead.credentials.values()):
                assert secret not in f"{error}{error.code}{error.message}"

    @staticmethod
    def every_call_fails(cloud: CloudUnderTest, driver: Driver, vm_id: str) -> list[CloudError]:
        return [
            failure(driver.list_vms),
            failure(lambda: driver.get_vm(vm_id)),
            failure(lambda: driver.create_vm(launch(cloud, user_data=b"password: s3cret"))),
            failure(lambda: driver.destroy_vm(vm_id)),
        ]

    @staticmethod
    def needs_token(cloud: CloudUnderTest) -> None:
        declared(cloud.capabilities.idempotency_token, "idempotency token")
