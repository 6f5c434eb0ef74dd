"""The five ports through which gateway and agent see the world, so that all of both runs on virtual time with a seed.

Nothing here does anything. What stands in for a port in a test is held to the real thing by a contract test.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from cloudherd.api.context import ContextSpec
from cloudherd.clouds.protocol import VM, Capabilities, Image, LaunchRequest, Limits, Listing, Size, Verb
from cloudherd.rendering.model import RenderRequest, RenderResult

Object = dict[str, Any]
"""An object as Kubernetes sends it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object. `group` is empty for the core API; `metadata_only` asks for nothing but metadata (Secrets)."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    metadata_only: bool = False


class ApiError(Exception):
    """A call to the API server that failed. `reason` is Kubernetes' own (AlreadyExists, Conflict, NotFound, Expired
    ...); `Unreachable` where the outcome is not known; `NotServed` where the server does not know the kind (never to be
    read as an absent object). The message is the server's, and holds no object. `status` is 0 where no answer came;
    `retry_after` is in seconds, 0 where the server did not say."""

    def __init__(self, reason: str, message: str = "", status: int = 0, retry_after: float = 0.0) -> None:
        super().__init__(message or reason)
        self.reason = reason
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class WatchEvent:
    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Object


class KubeApi(Protocol):
    """Kubernetes, as one field manager. Every method may raise ApiError."""

    async def list(self, kind: Kind, *, namespace: str = "") -> tuple[list[Object], str]:
        """All objects of a kind (all pages, a consistent read) and the resource version of the list."""
        ...

    def watch(self, kind: Kind, resource_version: str) -> AsyncGenerator[WatchEvent, None]:
        """Changes after `resource_version`, until the server ends the watch (returns) or breaks it (ApiError;
        `Expired`: list anew). The first event is a BOOKMARK of that same version: the server has taken the watch.

        After 70 s without a word it is `Unreachable`. That is no sure sign of trouble: a server sends no bookmarks
        of a kind on which it has nothing newer than the watch began with.
        """
        ...

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """A live read; None where it does not exist."""
        ...

    async def create(self, kind: Kind, obj: Object) -> Object: ...

    async def patch(self, kind: Kind, namespace: str, name: str, body: Object, *, subresource: str = "") -> Object:
        """A JSON merge patch. metadata.resourceVersion in the body is a precondition (Conflict). So is metadata.uid,
        but only without a subresource: for status and scale the API server takes no notice of it, so that a patch which
        must not meet a namesake needs the resourceVersion there. Never to take the last finalizer off: see `replace`.
        """
        ...

    async def replace(self, kind: Kind, obj: Object) -> Object:
        """Writes a whole object as it was read; its metadata.uid and resourceVersion are preconditions (Conflict).

        Taking the last finalizer off an object that is being deleted returns it as it last stood; it is gone. After a
        patch the API server does that in a second step without preconditions, so that of two who patch at once the
        later one ends a namesake that was created in between, its finalizers notwithstanding.
        """
        ...

    async def delete(
        self, kind: Kind, namespace: str, name: str, *, uid: str, resource_version: str = ""
    ) -> Object | None:
        """Delete with preconditions. The object as it stands where finalizers hold it, None where it is gone
        (NotFound is no error).
        """
        ...


class Cloud(Protocol):
    """One account's cloud, without blocking: the methods of `clouds.protocol.Driver`, awaited. Bounded in concurrency
    by itself.
    """

    capabilities: Capabilities

    async def list_vms(self) -> Listing: ...
    async def get_vm(self, vm_id: str) -> VM | None: ...
    async def create_vm(self, request: LaunchRequest) -> VM: ...
    async def destroy_vm(self, vm_id: str) -> None: ...
    async def power(self, vm_id: str, verb: Verb) -> None: ...
    async def sizes(self, wanted: tuple[str, ...] = (), /) -> list[Size]: ...
    async def images(self, wanted: tuple[str, ...]) -> list[Image]: ...
    async def limits(self) -> Limits: ...
    async def close(self) -> None: ...


class CloudFactory(Protocol):
    """Makes an account's Cloud of its settings and credentials. CloudError(INVALID) with one sentence where they make
    no sense.
    """

    def __call__(
        self, account: str, provider: str, settings: Mapping[str, Any], credentials: Mapping[str, str]
    ) -> Cloud: ...


class Renderer(Protocol):
    """Renders contexts away from the event loop, with limits of CPU time, memory and output. Never raises for what a
    user wrote.
    """

    async def render(self, request: RenderRequest) -> RenderResult: ...

    async def check(self, spec: ContextSpec) -> RenderResult:
        """A trial rendering with sample values: its size, or what is wrong with the Context by itself."""
        ...


class Clock(Protocol):
    def now(self) -> float:
        """Unix seconds: for timestamps that people read."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump: for every wait that guards a VM."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class Random(Protocol):
    def uuid(self) -> str: ...

    def uniform(self, low: float, high: float) -> float: ...
