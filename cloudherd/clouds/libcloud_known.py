"""What was found by reading the source of libcloud's drivers: which of them can be used and how, and why others cannot.

A driver that stands in neither table may be one that takes no tags, or one that is not libcloud's own: what it does not
say of itself the user must vouch for.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """Of a driver whose list_nodes reads all pages, and whose create_node is one call. `tags` and `user_data` are the
    arguments of create_node that take them, `one` the method that asks for one VM by its ID.
    """

    tags: str
    strings: bool
    """The tags are strings (`libcloud_tags`), else a map."""
    user_data: str
    one: str


KNOWN = {
    "digitalocean": Known("ex_create_attr.tags", True, "ex_user_data", "ex_get_node_details"),
    "cloudscale": Known("ex_create_attr.tags", False, "ex_create_attr.user_data", "ex_node_by_uuid"),
}

UNUSABLE = {
    "azure_arm": "it cannot send user data, a refused launch leaves a network card behind, and a listing that takes "
    "long ends early without a word",
    "cloudsigma": "its launch is several calls: where a later one is refused, a drive that is paid for is left behind",
    "equinixmetal": "it does not read the tags of a VM back, which could not be known again as ours",
    "gce": "it may send a launch twice, lists no VM whose disk it does not find, and reads only the first page of "
    "machine types",
    "kubevirt": "it does not read the labels of a VM back, which could not be known again as ours",
    "linode": "it wants a root password for each VM, for which an account's Secret has no place",
    "scaleway": "it takes no user data, and its launch is two calls: where the second is refused, there is a VM all "
    "the same",
    "vultr": "its VMs bear one tag, and ours need several",
}
