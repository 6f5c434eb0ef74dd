"""Makes one of libcloud's drivers for an account, with a transport that is safe. Calls no cloud itself."""

from __future__ import annotations

from libcloud.common.base import Connection as Link
from libcloud.compute.base import NodeDriver

from cloudherd.clouds.libcloud_kind import Kind, unusable
from cloudherd.clouds.libcloud_models import LibcloudCredentials, LibcloudOptions
from cloudherd.clouds.protocol import Connection
from cloudherd.clouds.transport import Transport, endpoint
from cloudherd.clouds.trust import Trust, carries


def connected(
    kind: Kind, connection: Connection, credentials: LibcloudCredentials, options: LibcloudOptions
) -> NodeDriver:
    """Must not call the cloud; that is up to libcloud."""
    keys = [credentials.key, *([credentials.secret] if credentials.secret else [])]
    try:
        driver = kind.made_by(*keys, **options.arguments)
    except Exception as raised:  # noqa: BLE001 - whatever a driver says to arguments that it does not take
        refused = type(raised).__name__
    else:
        return _led(driver, connection.endpoint, credentials, options)
    why = (
        f"libcloud's driver does not take these settings ({refused}); see its documentation for spec.options.arguments"
    )
    raise unusable(options.driver, why)


def _led(driver: NodeDriver, url: str, credentials: LibcloudCredentials, options: LibcloudOptions) -> NodeDriver:
    """To the endpoint by its connection itself: some drivers take a host and forget it, and the keys went elsewhere."""
    link = getattr(driver, "connection", None)
    if isinstance(link, Link):
        if url:
            at = endpoint(url)
            link.host, link.port, link.secure, link.request_path = at.host, at.port, at.secure, at.path.rstrip("/")
        link.conn_class, link.timeout = Transport, options.timeout_seconds  # else it may wait for ever
        link.connect()
    elif url:
        raise unusable(options.driver, "libcloud's driver can be led to no endpoint; leave spec.endpoint out")
    if not carries(Trust(credentials.ca_bundle), link) and credentials.ca_bundle:
        raise unusable(options.driver, "libcloud's driver takes no CAs; leave caBundle out of the Secret")
    return driver
