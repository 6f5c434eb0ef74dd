"""The provider `cloudstack`. One driver is one account, or one project, of one CloudStack; spec.region names the zone.

There is no token: the agent claims before it launches. Launches are jobs: their refusal for lack of room comes some
seconds after they were taken, so the driver waits a little for it, and ends what was left of a launch that failed. A
launch that takes longer is taken for good; should it fail then, its VM shows the state Error, and its job why.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from cloudherd.clouds.cloudstack_api import CloudStackApi, Json, NotUnderstoodError, text
from cloudherd.clouds.cloudstack_late import LateLaunches
from cloudherd.clouds.cloudstack_launch import Lookup, deployment, own_tags
from cloudherd.clouds.cloudstack_models import CloudStackCredentials, CloudStackLaunchOptions, CloudStackOptions
from cloudherd.clouds.cloudstack_read import to_image, to_limits, to_size, to_vm
from cloudherd.clouds.errors import confidential, never_sent, of_creation, too_long
from cloudherd.clouds.protocol import (
    VM,
    Capabilities,
    CloudError,
    Connection,
    ErrorKind,
    Image,
    LaunchRequest,
    Limits,
    Listing,
    Size,
    Verb,
    VMState,
)
from cloudherd.clouds.validation import account_settings, check

MAX_USER_DATA = 24_576  # 32 KiB in base64, which every version takes by POST
_TAGS_SECONDS = 2.0
_DEPLOY = "deployVirtualMachine"
_COMMANDS: dict[Verb, tuple[str, dict[str, str]]] = {
    Verb.SHUT_DOWN: ("stopVirtualMachine", {}),
    Verb.STOP: ("stopVirtualMachine", {"forced": "true"}),
    Verb.START: ("startVirtualMachine", {}),
}


class CloudStack:
    name = "cloudstack"
    capabilities = Capabilities(
        idempotency_token=False,
        tags_at_creation=True,
        limits_readable=True,
        max_user_data=MAX_USER_DATA,
        visibility_seconds=0,
        concurrent_calls=8,  # launches mostly wait for their jobs
        verbs=frozenset(_COMMANDS),
        regions=True,
    )
    credentials_model = CloudStackCredentials
    options_model = CloudStackOptions
    launch_options_model = CloudStackLaunchOptions

    def __init__(self) -> None:
        self._late = LateLaunches()

    def connect(self, connection: Connection) -> CloudStackDriver:
        credentials, options = account_settings(connection, CloudStackCredentials, CloudStackOptions)
        api = CloudStackApi(connection, credentials, options)
        return CloudStackDriver(api, options, connection.region, self._late)


class CloudStackDriver:
    def __init__(self, api: CloudStackApi, options: CloudStackOptions, region: str, late: LateLaunches) -> None:
        self._api = api
        self._options = options
        self._scope = ""
        self._late = late
        self._lookup = Lookup(api, region)

    def list_vms(self) -> Listing:
        scope = self._scoped()
        found = self._api.items("listVirtualMachines", {}, "virtualmachine")
        return Listing(scope, tuple(self._judged(to_vm(item)) for item in found))

    def _judged(self, vm: VM) -> VM:
        """With why its launch failed after it was taken for good; on its way as long as nobody knows."""
        job = self._late.job(vm.id)
        if not job or vm.state is VMState.PENDING:
            return vm
        if vm.state is not VMState.ERROR:
            self._late.forget(vm.id)
            return vm
        if self._late.verdict(vm.id) is None:
            self._ask_why(vm.id, job)
        words = self._late.verdict(vm.id)
        if words is None:
            return replace(vm, state=VMState.PENDING, detail="")
        return replace(vm, detail=words, no_room=True) if words else vm

    def _ask_why(self, vm_id: str, job: str) -> None:
        """The words of other failures are not kept, for they might repeat user data, which are not known here."""
        try:
            if self._api.has_ended(job, _DEPLOY):
                self._late.judged(vm_id, "")
        except CloudError as error:
            self._late.judged(vm_id, error.message or error.code if error.kind is ErrorKind.FULL else "")

    def _scoped(self) -> str:
        """All zones of the account or project, since its limits hold for all of them together."""
        if not self._scope:
            self._scope = quote(text(self._owner()), safe="")
        return self._scope

    def _owner(self) -> Json:
        """The account that the keys belong to, or the project."""
        if self._options.project:
            found = self._api.items("listProjects", {"id": self._options.project}, "project")
        else:
            found = self._api.items("listAccounts", {}, "account")
        if len(found) != 1:
            raise NotUnderstoodError
        return found[0]

    def get_vm(self, vm_id: str) -> VM | None:
        try:
            found = self._api.items("listVirtualMachines", {"id": vm_id}, "virtualmachine")
        except CloudError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return None
            raise
        if any(text(item) != vm_id for item in found):
            raise NotUnderstoodError
        return self._judged(to_vm(found[0])) if found else None

    def create_vm(self, request: LaunchRequest) -> VM:
        options = check(CloudStackLaunchOptions, request.options, "machine.options")
        if len(request.user_data) > MAX_USER_DATA:
            raise too_long(request.user_data, f"CloudStack takes {MAX_USER_DATA}")
        try:
            fields = deployment(request, options, self._lookup.ids(request))
        except CloudError as error:
            self._lookup.forget()
            raise never_sent(error) from None
        vm_id, job_id = self._deploy(fields, confidential(request.user_data))
        try:
            self._tag(vm_id, request)
            ended = self._api.job(job_id, self._options.job_seconds, _DEPLOY, confidential(request.user_data))
        except CloudError as error:
            failed = error
        else:
            if not ended:
                self._late.keep(vm_id, job_id)
            return VM(vm_id, request.name, VMState.PENDING, dict(request.tags), flavor=fields["serviceofferingid"])
        self._clean(vm_id)
        raise of_creation(failed)

    def _deploy(self, fields: dict[str, str], secret: tuple[str, ...]) -> tuple[str, str]:
        """The ID of the VM, which is there from now on, and that of the job that starts it."""
        try:
            made = self._api.call(_DEPLOY, fields, secret)
            return text(made), text(made, "jobid")
        except CloudError as error:
            failed = of_creation(error)
        self._lookup.forget()
        raise failed

    def _tag(self, vm_id: str, request: LaunchRequest) -> None:
        fields = own_tags(vm_id, request.tags)
        if fields:
            made = self._api.call("createTags", fields)
            self._api.job(text(made, "jobid"), _TAGS_SECONDS, "createTags")

    def _clean(self, vm_id: str) -> None:
        """Ends what is left of a launch that failed. Where that fails too, the VM bears our identity and is swept."""
        try:
            self.destroy_vm(vm_id)
        except CloudError:
            return

    def destroy_vm(self, vm_id: str) -> None:
        expunge = {"expunge": "true"} if self._options.expunge else {}
        try:
            self._api.call("destroyVirtualMachine", {"id": vm_id, **expunge})
        except CloudError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise

    def power(self, vm_id: str, verb: Verb) -> None:
        """A job, whose outcome the next listings show."""
        command, how = _COMMANDS[verb]
        self._api.call(command, {"id": vm_id, **how})

    def sizes(self, _wanted: tuple[str, ...] = (), /) -> list[Size]:
        """The service offerings of a fixed size."""
        return [size for size in map(to_size, self._api.items("listServiceOfferings", {}, "serviceoffering")) if size]

    def images(self, wanted: tuple[str, ...]) -> list[Image]:
        found = [to_image(item) for each in wanted for item in self._lookup.templates(each)]
        return list({image.id: image for image in found}.values())

    def limits(self) -> Limits:
        return to_limits(self._owner())
