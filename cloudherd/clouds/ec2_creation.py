"""RunInstances, from the look-up of what names stand for to the VMs of the answer.

One VM is never asked for twice: its token is known to everybody, and the caller asks again where that is right. Several
at once are asked for a second time where no answer came, with the same token: who was with whom in a call is known here
and to nobody else, so that all of them would have to be waited for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cloudherd.clouds import ec2_batch, ec2_xml
from cloudherd.clouds.ec2_connection import Ec2Api
from cloudherd.clouds.ec2_launch import Lookup, run_instances, tag_fields
from cloudherd.clouds.ec2_models import Ec2LaunchOptions, Ec2Options
from cloudherd.clouds.errors import confidential, never_sent, of_creation, too_long
from cloudherd.clouds.protocol import VM, CloudError, ErrorKind, LaunchRequest, VMState
from cloudherd.clouds.validation import check

MAX_USER_DATA = 16_384
_MAY_WORK_LATER = frozenset({ErrorKind.THROTTLED, ErrorKind.BUSY, ErrorKind.NOT_FOUND, ErrorKind.UNREACHABLE})
_TAKES_NO_SUCH_VALUE = "TypeError"  # OpenStack's ec2-api reads 7, 1e5 and true as no strings, and breaks with a 500


class Creation:
    """For one driver, and its thread."""

    def __init__(self, api: Ec2Api, options: Ec2Options) -> None:
        self._api = api
        self._tags_at_launch = options.tags_at_launch
        self._lookup = Lookup(api)

    def one(self, request: LaunchRequest) -> VM:
        fields = self._fields(request, 1)
        try:
            vm = self._run(fields, request, 1)[0]
            return vm if self._tags_at_launch else self._tag(vm, request)
        except CloudError as error:
            failed = of_creation(error)
        raise self._refused(failed)

    def several(self, requests: Sequence[LaunchRequest]) -> list[VM | None]:
        """As `BatchDriver.create_vms` says."""
        request = ec2_batch.together(requests)
        made = self._twice(self._fields(request, len(requests)), request, len(requests))
        return [made.get(number) for number in range(len(requests))]

    def _twice(self, fields: Mapping[str, str], request: LaunchRequest, count: int) -> dict[int, VM]:
        try:
            return self._run(fields, request, count)
        except CloudError as error:
            failed = of_creation(error)
        if failed.kind is not ErrorKind.UNKNOWN:
            raise self._refused(failed)
        try:
            return self._run(fields, request, count)
        except CloudError as error:
            failed = CloudError(ErrorKind.UNKNOWN, error.code, error.message)  # of the first time nothing is known
        raise failed

    def _fields(self, request: LaunchRequest, count: int) -> dict[str, str]:
        """Whatever fails here, no launch was sent."""
        if len(request.user_data) > MAX_USER_DATA:
            raise too_long(request.user_data, f"EC2 takes {MAX_USER_DATA}")
        options = check(Ec2LaunchOptions, request.options, "machine.options")
        try:
            place = self._lookup.place(request.network, request.security_groups, request.public_address)
            image = self._lookup.image(request.image)
        except CloudError as error:
            self._lookup.forget()  # what was found may be mended by now
            failed = never_sent(error)
        else:
            return run_instances(request, options, image, place, tags=self._tags_at_launch, count=count)
        raise failed

    def _run(self, fields: Mapping[str, str], request: LaunchRequest, count: int) -> dict[int, VM]:
        """The VMs by their number in the call; at least one, and that is the first where one is asked for."""
        root = self._api.call("RunInstances", fields, confidential(request.user_data))
        items = ec2_xml.items(root, "instancesSet")
        made = {ec2_xml.launch_index(item) if count > 1 else 0: ec2_xml.to_vm(item) for item in items}
        if not made or not set(made) <= set(range(count)):
            raise ec2_xml.NotUnderstoodError
        return made

    def _refused(self, error: CloudError) -> CloudError:
        if error.kind in {ErrorKind.INVALID, ErrorKind.NOT_FOUND}:
            self._lookup.forget()
        return error

    def _tag(self, vm: VM, request: LaunchRequest) -> VM:
        """For services without TagSpecification. Where it may work later, the outcome of the launch is unknown, and the
        same token leads to the same VM and its tags.
        """
        if vm.state is VMState.DELETED:
            return vm  # the token's VM has ended since
        try:
            self._api.call("CreateTags", {"ResourceId.1": vm.id, **tag_fields(request)})
        except CloudError as error:
            failed = self._untagged(vm, error)
        else:
            return replace(vm, name=request.name, tags={**request.tags, "Name": request.name})
        raise failed

    def _untagged(self, vm: VM, error: CloudError) -> CloudError:
        """What is said of a VM without tags; where it will never have any, it is ended, for it would be nobody's."""
        if error.kind in _MAY_WORK_LATER and error.code != _TAKES_NO_SUCH_VALUE:
            return CloudError(ErrorKind.UNKNOWN, error.code, error.message)
        try:
            self._api.call("TerminateInstances", {"InstanceId.1": vm.id})
        except CloudError as left:
            words = f"the cloud refuses the tags of the VM {vm.id}, and did not end it when asked to: {left}"
            return CloudError(ErrorKind.UNKNOWN, error.code, words)
        words = "the cloud refuses the VM's tags, so the VM was ended again"
        if error.kind is ErrorKind.DENIED:
            return CloudError(ErrorKind.DENIED, error.code, f"{words}: {error.message}")
        values = "some services take no value that reads as a number or as true"
        return CloudError(ErrorKind.INVALID, error.code, f"{words} ({values}): {error.message}")
