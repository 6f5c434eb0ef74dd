"""Who we are at the clouds: the installation's ID, made once and kept beside the UID of this cluster's kube-system.

It is made only while no Instance exists, for an ID that is lost leaves VMs that nobody knows any more. Without it
nothing is launched or swept.
"""

from __future__ import annotations

from dataclasses import dataclass

from cloudherd.agent.account_status import Told
from cloudherd.runtime.kinds import CONFIG_MAP, INSTANCE, NAMESPACE
from cloudherd.runtime.ports import ApiError, KubeApi, Object, Random

NAME = "cloudherd-installation"
TAKE_OVER = "cloudherd.dev/take-over"


@dataclass(slots=True)
class Installation:
    """`id` is empty as long as nothing may be written to a cloud; `trouble` says why. `preset` comes from the
    settings.
    """

    api: KubeApi
    random: Random
    namespace: str
    preset: str = ""
    id: str = ""
    trouble: Told | None = None

    async def settle(self) -> None:
        """Finds the ID, or what stands in its way. To be called again while there is none."""
        try:
            self.trouble = await self._settle()
        except ApiError as error:
            self.trouble = Told(
                "Unknown", "InstallationUnknown", f"the ConfigMap {self.namespace}/{NAME} cannot be read: {error}"
            )

    async def _settle(self) -> Told | None:
        system = await self.api.get(NAMESPACE, "", "kube-system")
        uid = str((system or {}).get("metadata", {}).get("uid", ""))
        if not uid:
            return Told("Unknown", "InstallationUnknown", "the namespace kube-system has no UID to be read")
        found = await self.api.get(CONFIG_MAP, self.namespace, NAME)
        if found is None:
            found = await self._make(uid)
        if found is None:
            return Told(
                False,
                "InstallationMissing",
                f"the ConfigMap {self.namespace}/{NAME} is missing although Instances exist: restore it, or give the "
                "agent the installation's ID as a setting",
            )
        return await self._judge(found, uid)

    async def _make(self, uid: str) -> Object | None:
        if not self.preset and (await self.api.list(INSTANCE))[0]:
            return None
        body: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME, "namespace": self.namespace},
            "data": {"id": self.preset or self.random.uuid(), "kubeSystemUID": uid},
        }
        try:
            return await self.api.create(CONFIG_MAP, body)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        return await self.api.get(CONFIG_MAP, self.namespace, NAME)

    async def _judge(self, found: Object, uid: str) -> Told | None:
        data, meta = found.get("data") or {}, found["metadata"]
        id_, home = str(data.get("id", "")), str(data.get("kubeSystemUID", ""))
        where = f"the ConfigMap {self.namespace}/{NAME}"
        if not id_ or (self.preset and id_ != self.preset):
            return Told(
                False, "InstallationMissing", f"{where} has another id in data.id than the agent's setting, or none"
            )
        if home != uid:
            if (meta.get("annotations") or {}).get(TAKE_OVER) != uid:
                return Told(
                    False,
                    "InstallationMoved",
                    f"{where} comes from another cluster, whose operator may still run. If it never will again, "
                    f"annotate the ConfigMap with {TAKE_OVER}: {uid}",
                )
            body = {
                "metadata": {
                    "uid": meta["uid"],
                    "resourceVersion": meta["resourceVersion"],
                    "annotations": {TAKE_OVER: None},
                },
                "data": {"kubeSystemUID": uid},
            }
            await self.api.patch(CONFIG_MAP, self.namespace, NAME, body)
        self.id = id_
        return None
