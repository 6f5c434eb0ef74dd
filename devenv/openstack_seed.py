"""What a cloud of ours holds from the start: the services' users and addresses, flavors, an image and a network."""

from __future__ import annotations

from devenv.openstack_client import OpenStackClient
from devenv.openstack_settings import HOST, PASSWORD, VCPUS, Layout, Region

IMAGE = "debian-12"
NETWORK = "shared"
TINY, BIG, WHALE = "m1.tiny", "m1.big", "m1.whale"
"""Flavors: any number fits; two fit, and a third finds no host; none ever fits."""

_FLAVORS = (
    ("1", TINY, 1, 512),
    ("2", "m1.small", 1, 2048),
    ("3", "m1.medium", 2, 4096),
    ("4", BIG, VCPUS * 34 // 100, 512),
    ("5", WHALE, VCPUS * 2, 512),
)


def identity(admin: OpenStackClient, layout: Layout) -> None:
    """Users and the catalogue, which the services themselves need."""
    project = admin.call("POST", "identity", "/projects", {"project": {"name": "service", "domain_id": "default"}})
    for name in ("glance", "placement", "neutron", "nova"):
        user = {"user": {"name": name, "password": PASSWORD, "domain_id": "default"}}
        made = admin.call("POST", "identity", "/users", user)
        admin.grant(project["project"]["id"], made["user"]["id"], "admin", "service")
    for region in layout.regions:
        admin.call("POST", "identity", "/regions", {"region": {"id": region.name}})
    for kind in ("identity", "image", "placement", "network", "compute"):
        service = admin.call("POST", "identity", "/services", {"service": {"name": kind, "type": kind}})
        for region in layout.regions:
            for interface in ("public", "internal", "admin"):
                endpoint = {"service_id": service["service"]["id"], "region_id": region.name, "interface": interface}
                url = _urls(layout, region)[kind]
                admin.call("POST", "identity", "/endpoints", {"endpoint": {**endpoint, "url": url}})
    admin.forget_token()


def _urls(layout: Layout, region: Region) -> dict[str, str]:
    root = f"http://{HOST}:"
    return {
        "identity": layout.auth_url,
        "image": f"{root}{region.glance}",
        "placement": f"{root}{region.placement}",
        "network": f"{root}{region.neutron}",
        "compute": f"{root}{region.nova}/v2.1",
    }


def region(admin: OpenStackClient, number: int) -> None:
    for flavor_id, name, vcpus, ram in _FLAVORS:
        flavor = {"id": flavor_id, "name": name, "vcpus": vcpus, "ram": ram, "disk": 1}
        admin.call("POST", "compute", "/flavors", {"flavor": flavor})
    image(admin, IMAGE)
    shared = {"network": {"name": NETWORK, "shared": True}}
    network = admin.call("POST", "network", "/v2.0/networks", shared)["network"]["id"]
    subnet = {"network_id": network, "ip_version": 4, "cidr": f"10.{100 + number}.0.0/16", "enable_dhcp": False}
    admin.call("POST", "network", "/v2.0/subnets", {"subnet": {**subnet, "gateway_ip": None}})


def image(admin: OpenStackClient, name: str) -> str:
    """Makes one that everybody sees, and that nothing could boot from; its ID."""
    body = {"name": name, "disk_format": "raw", "container_format": "bare", "visibility": "public"}
    made: str = admin.call("POST", "image", "/v2/images", body)["id"]
    admin.call("PUT", "image", f"/v2/images/{made}/file", b"not a bootable image\n")
    return made
