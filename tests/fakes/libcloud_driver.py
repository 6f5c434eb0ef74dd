"""A compute driver as libcloud's are, whose cloud is a list in memory: tags and user data by the usual arguments.

`register` makes it known to libcloud by the name `flat`; each test gives its `Sky` a key of its own.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from libcloud.compute.base import Node, NodeDriver, NodeImage, NodeLocation, NodeSize
from libcloud.compute.providers import DRIVERS, set_driver
from libcloud.compute.types import NodeState


@dataclass
class Sky:
    """What a key leads to. `troubles` are raised by the next calls, by the name of the method; with `after`, once the
    call was carried out. `calls` counts them all.
    """

    nodes: list[Node] = field(default_factory=list)
    user_data: dict[str, str] = field(default_factory=dict)
    troubles: dict[str, Exception] = field(default_factory=dict)
    after: bool = False
    calls: Counter[str] = field(default_factory=Counter)
    always: Exception | None = None
    tags_shown: Literal["always", "later", "never"] = "always"  # later: not in the answer to a creation
    lock: threading.Lock = field(default_factory=threading.Lock)


SKIES: dict[str, Sky] = {}


class FlatNodeDriver(NodeDriver):  # type: ignore[misc]
    name = "Flat"
    type = "flat"

    def __init__(self, key: str, secret: str | None = None, host: str = "", port: int = 0, secure: bool = True) -> None:
        self._sky = SKIES[key]

    def list_nodes(self) -> list[Node]:
        nodes: list[Node] = self._do("list_nodes", lambda: list(self._sky.nodes))
        return nodes

    def list_sizes(self, location: Any = None) -> list[NodeSize]:
        small = NodeSize("s1", "small", 1024, 10, None, 0.01, self, extra={"cpus": 2})
        return self._all("list_sizes", [small, self._size("s2", "large")])

    def _size(self, size_id: str, name: str) -> NodeSize:
        return NodeSize(size_id, name, 4096, 10, None, 0.02, self)

    def list_images(self, location: Any = None) -> list[NodeImage]:
        known = {"i1": "debian-12", "i2": "twin", "i3": "twin"}
        return self._all("list_images", [NodeImage(image_id, name, self) for image_id, name in known.items()])

    def list_locations(self) -> list[NodeLocation]:
        return self._all("list_locations", [NodeLocation("l1", "north", "CH", self)])

    def _all(self, method: str, known: list[Any]) -> list[Any]:
        listed: list[Any] = self._do(method, lambda: known)
        return listed

    def create_node(
        self,
        name: str,
        size: NodeSize,
        image: NodeImage,
        location: NodeLocation | None = None,
        ex_metadata: dict[str, str] | None = None,
        ex_userdata: str = "",
        ex_network: str = "",
    ) -> Node:
        def made() -> Node:
            number = len(self._sky.nodes) + 1
            extra = {"metadata": dict(ex_metadata or {}), "network": ex_network, "location": location}
            listed, told = (
                Node(f"n-{number}", name, NodeState.RUNNING, [], [f"10.0.0.{number}"], self, extra=each)
                for each in (
                    extra if self._sky.tags_shown != "never" else {},
                    extra if self._sky.tags_shown == "always" else {},
                )
            )
            self._sky.nodes.append(listed)
            self._sky.user_data[listed.id] = ex_userdata
            return told

        return self._do("create_node", made)

    def destroy_node(self, node: Node) -> bool:
        def ended() -> bool:
            found = next(one for one in self._sky.nodes if one.id == node.id)
            found.state = NodeState.TERMINATED
            return False  # as EC2's does

        outcome: bool = self._do("destroy_node", ended)
        return outcome

    def start_node(self, node: Node) -> bool:
        return self._turn(node, NodeState.RUNNING)

    def stop_node(self, node: Node) -> bool:
        return self._turn(node, NodeState.STOPPED)

    def _turn(self, node: Node, state: NodeState) -> bool:
        def turned() -> bool:
            next(one for one in self._sky.nodes if one.id == node.id).state = state
            return True

        outcome: bool = self._do("turn", turned)
        return outcome

    def _do(self, method: str, work: Callable[[], Any]) -> Any:
        with self._sky.lock:
            self._sky.calls[method] += 1
            trouble = self._sky.always or self._sky.troubles.pop(method, None)
            if trouble and not self._sky.after:
                raise trouble
            result = work()
            if trouble:
                raise trouble
            return result


class BareNodeDriver(FlatNodeDriver):
    """One that takes tags and no user data."""

    def create_node(  # type: ignore[override]
        self, name: str, size: NodeSize, image: NodeImage, ex_metadata: Any = None
    ) -> Node:
        return super().create_node(name, size, image, ex_metadata=ex_metadata)


def register() -> None:
    for name, kind in (("flat", FlatNodeDriver), ("bare", BareNodeDriver)):
        if name not in DRIVERS:
            set_driver(name, __name__, kind.__name__)
