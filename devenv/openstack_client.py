"""OpenStack's APIs as the administrator sees them, in plain HTTP: to set a cloud up, and to read the truth in tests.

Shares nothing with the provider `openstack`, which it is there to check.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from devenv.openstack_settings import PASSWORD

_USER_DATA = "2.3"  # the microversion from which on an administrator is shown user data
_EXACT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Refused(Exception):  # noqa: N818 - what happened
    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"{status}: {words}")
        self.status = status


@dataclass(frozen=True)
class Project:
    """One that has a user of its own, by the same name."""

    id: str
    name: str
    user: str

    @property
    def keys(self) -> dict[str, str]:
        """As a Secret of the provider `openstack` holds them."""
        return {"username": self.name, "password": PASSWORD, "projectName": self.name}


@dataclass
class OpenStackClient:
    """An administrator's or, where a project is given, its user's."""

    auth_url: str  # with /v3
    region: str = "RegionOne"
    user: str = "admin"
    project: str = "admin"
    _token: str = ""
    _services: dict[str, str] = field(default_factory=dict)

    def of(self, project: Project) -> OpenStackClient:
        return OpenStackClient(self.auth_url, self.region, project.name, project.name)

    def at(self, region: str) -> OpenStackClient:
        return OpenStackClient(self.auth_url, region, self.user, self.project)

    def call(self, method: str, service: str, path: str, body: Any = None, microversion: str = "") -> Any:
        """`service` by its type, or identity; the answer's JSON, None where it has none."""
        if not self._token:
            self._login()
        headers = {"X-Auth-Token": self._token}
        if microversion:
            headers["OpenStack-API-Version"] = f"compute {microversion}"
        root = self.auth_url if service == "identity" else self._services[service]
        return _send(method, root + path, body, headers)[0]

    def _login(self) -> None:
        domain = {"name": "Default"}
        user = {"name": self.user, "domain": domain, "password": PASSWORD}
        identity = {"methods": ["password"], "password": {"user": user}}
        auth = {"auth": {"identity": identity, "scope": {"project": {"name": self.project, "domain": domain}}}}
        found, headers = _send("POST", f"{self.auth_url}/auth/tokens", auth, {})
        self._token = headers["x-subject-token"]
        self._services = {
            service["type"]: endpoint["url"]
            for service in found["token"].get("catalog", [])
            for endpoint in service["endpoints"]
            if endpoint["interface"] == "public" and endpoint["region"] == self.region
        }

    def forget_token(self) -> None:
        """So that the next call sees services that came later."""
        self._token = ""

    # -- projects

    def new_project(self, name: str = "", **quotas: int) -> Project:
        """With quotas of nova's (instances, cores, ram) in this region."""
        name = name or f"p-{uuid4().hex[:8]}"
        made = self.call("POST", "identity", "/projects", {"project": {"name": name, "domain_id": "default"}})
        project = made["project"]["id"]
        user = {"name": name, "password": PASSWORD, "domain_id": "default"}
        user_id = self.call("POST", "identity", "/users", {"user": user})["user"]["id"]
        self.grant(project, user_id, "member")
        found = Project(project, name, user_id)
        if quotas:
            self.limit(found, **quotas)
        return found

    def grant(self, project: str, user: str, *roles: str) -> None:
        known = {each["name"]: each["id"] for each in self.call("GET", "identity", "/roles")["roles"]}
        for role in roles:
            self.call("PUT", "identity", f"/projects/{project}/users/{user}/roles/{known[role]}")

    def limit(self, project: Project, **quotas: int) -> None:
        """Below what is used, too."""
        self.call("PUT", "compute", f"/os-quota-sets/{project.id}", {"quota_set": {**quotas, "force": True}})

    def application_credential(self, project: Project) -> dict[str, str]:
        """As a Secret of the provider `openstack` holds it."""
        body = {"application_credential": {"name": uuid4().hex, "roles": [{"name": "member"}]}}
        made = self.of(project).call("POST", "identity", f"/users/{project.user}/application_credentials", body)
        found = made["application_credential"]
        return {"applicationCredentialId": found["id"], "applicationCredentialSecret": found["secret"]}

    def revoke(self, token: str) -> None:
        """Ends somebody's token before its time."""
        if not self._token:
            self._login()
        headers = {"X-Auth-Token": self._token, "X-Subject-Token": token}
        _send("DELETE", f"{self.auth_url}/auth/tokens", None, headers)

    # -- servers

    def ended(self, project: Project) -> list[str]:
        """The names of a project's servers that are gone."""
        found = self.call("GET", "compute", f"/servers/detail?all_tenants=1&project_id={project.id}&deleted=True")
        return [each["name"] for each in found["servers"]]

    def servers(self, project: Project) -> dict[str, dict[str, Any]]:
        """All of a project's by ID, however many there are. One that is ended may be listed as such for a moment."""
        found: dict[str, dict[str, Any]] = {}
        marker = ""
        while True:
            path = f"/servers/detail?all_tenants=1&project_id={project.id}&limit=20&marker={marker}"
            page = self.call("GET", "compute", path.removesuffix("&marker="))["servers"]
            found |= {each["id"]: each for each in page if each["status"] != "DELETED"}
            if not page:
                return found
            marker = page[-1]["id"]

    def user_data(self, server: str) -> bytes:
        found = self.call("GET", "compute", f"/servers/{server}", microversion=_USER_DATA)["server"]
        return b64decode(found["OS-EXT-SRV-ATTR:user_data"] or "")

    def launch(self, name: str, flavor: str = "1", **more: Any) -> str:
        """A server of this client's own project; its ID."""
        image = self.call("GET", "image", "/v2/images?name=debian-12")["images"][0]["id"]
        network = self.call("GET", "network", "/v2.0/networks?name=shared")["networks"][0]["id"]
        body = {"name": name, "flavorRef": flavor, "imageRef": image, "networks": [{"uuid": network}], **more}
        made: str = self.call("POST", "compute", "/servers", {"server": body})["server"]["id"]
        return made


def _send(method: str, url: str, body: Any, headers: Mapping[str, str]) -> tuple[Any, Mapping[str, str]]:
    """Bytes are sent as they are, all else as JSON."""
    raw = isinstance(body, bytes)
    data = body if raw else None if body is None else json.dumps(body).encode()
    kind = "application/octet-stream" if raw else "application/json"
    request = urllib.request.Request(url, data, {"Content-Type": kind, **headers}, method=method)  # noqa: S310 - loopback
    try:
        with _EXACT.open(request, timeout=60) as reply:
            content = reply.read()
            found = {name.lower(): value for name, value in reply.headers.items()}
    except urllib.error.HTTPError as error:
        raise Refused(error.code, error.read().decode(errors="replace")[:500]) from None
    return json.loads(content) if content else None, found
