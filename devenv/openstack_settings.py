"""What OpenStack's services are told: their configuration files, for one keystone and some regions on loopback. Pure.

Each region has a glance, placement, neutron and nova of its own, and one host: nova's fake one, with limits. Quotas
are nova's defaults, so that an account is full soon; pages are short, so that a listing has several, and shortest in
the second region. The first one's nova believes a token for five minutes, the second's asks keystone each time: there
the end of a token, or of keystone, shows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
KEYSTONE_PORT = 35357
"""Of `make up CLOUDS=openstack`."""
PASSWORD = "cloudherd"  # noqa: S105 - of every service and of the administrator, on loopback, for as long as a test runs
PAGE, SHORT_PAGE = 50, 3
"""Servers on a page of a listing, in the first region and in the second."""
VCPUS = 1000
"""Of a region's only host."""

Sections = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class Region:
    """`number` is the first one's 0; it names databases and message hosts."""

    name: str
    number: int
    glance: int
    placement: int
    neutron: int
    nova: int

    def database(self, service: str) -> str:
        return f"{service}_{self.number}"


@dataclass(frozen=True)
class Layout:
    """Where everything is. Services are given by their ports."""

    directory: Path
    venv: Path
    mariadb: int
    rabbit: int
    keystone: int
    regions: tuple[Region, ...]

    @property
    def auth_url(self) -> str:
        return f"http://{HOST}:{self.keystone}/v3"

    def etc(self, service: str, region: Region | None = None) -> Path:
        return self.directory / "etc" / (f"{service}-{region.number}" if region else service)


def databases(regions: int) -> list[str]:
    """The names of all that so many regions need."""
    names = ("glance", "placement", "neutron", "nova_api", "nova", "nova_cell0")
    return ["keystone", *(f"{name}_{number}" for number in range(regions) for name in names)]


def files(layout: Layout) -> dict[Path, str]:
    """All configuration files."""
    made = {
        layout.directory / "mariadb.cnf": _mariadb(layout),
        layout.directory / "mariadb.sql": _first_sql(layout),
        layout.directory / "rabbitmq.conf": _rabbit(layout),
        layout.directory / "rabbitmq.json": _definitions(layout),
        layout.etc("keystone") / "keystone.conf": _ini(_keystone(layout)),
    }
    for region in layout.regions:
        neutron, nova = layout.etc("neutron", region), layout.etc("nova", region)
        settings = _nova(layout, region)
        made |= {
            layout.etc("glance", region) / "glance-api.conf": _ini(_glance(layout, region)),
            layout.etc("placement", region) / "placement.conf": _ini(_placement(layout, region)),
            neutron / "neutron.conf": _ini(_neutron(layout, region)),
            neutron / "plugins" / "ml2" / "ml2_conf.ini": _ini(_ML2),
            nova / "nova.conf": _ini(settings),
            # nova-compute must not know the databases
            nova / "nova-compute.conf": _ini({key: settings[key] for key in settings if not key.endswith("database")}),
        }
    return made


def _ini(sections: Sections) -> str:
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())
        for name, values in sections.items()
    )


# -- what they stand on


def _mariadb(layout: Layout) -> str:
    """Speed before durability: nothing here outlives a test."""
    return _ini(
        {
            "mariadbd": {
                "datadir": layout.directory / "mariadb",
                "user": "root",
                "bind-address": HOST,
                "port": layout.mariadb,
                "socket": layout.directory / "mariadb.sock",
                "pid-file": layout.directory / "mariadbd.own.pid",
                "init-file": layout.directory / "mariadb.sql",
                "character-set-server": "utf8mb4",
                "collation-server": "utf8mb4_general_ci",
                "max_connections": 1000,
                "innodb_buffer_pool_size": "128M",
                "innodb_log_file_size": "32M",
                "innodb_flush_log_at_trx_commit": 0,
                "innodb_doublewrite": 0,
                "innodb_flush_method": "nosync",
                "performance_schema": "off",
                "skip-name-resolve": "on",
                "skip-log-bin": "on",
            }
        }
    )


def _first_sql(layout: Layout) -> str:
    """One statement a line."""
    made = [f"CREATE DATABASE IF NOT EXISTS {name};" for name in databases(len(layout.regions))]
    return "\n".join([*made, f"GRANT ALL ON *.* TO cloudherd@'{HOST}' IDENTIFIED BY '{PASSWORD}';", ""])


def _rabbit(layout: Layout) -> str:
    return (
        f"listeners.tcp.1 = {HOST}:{layout.rabbit}\n"
        f"load_definitions = {layout.directory}/rabbitmq.json\n"
        "log.file = false\nlog.console = true\nlog.console.level = warning\n"
    )


def _definitions(layout: Layout) -> str:
    """Users and hosts, read at the start: no rabbitmqctl is needed, which takes seconds a call."""
    hosts = ["/", *(region.database(name) for region in layout.regions for name in ("nova", "neutron"))]
    everything = {"user": "cloudherd", "configure": ".*", "write": ".*", "read": ".*"}
    return json.dumps(
        {
            "users": [{"name": "cloudherd", "password": PASSWORD, "tags": "administrator"}],
            "vhosts": [{"name": host} for host in hosts],
            "permissions": [{**everything, "vhost": host} for host in hosts],
        }
    )


def _sql(layout: Layout, database: str) -> dict[str, object]:
    url = f"mysql+pymysql://cloudherd:{PASSWORD}@{HOST}:{layout.mariadb}/{database}?charset=utf8mb4"
    return {"connection": url, "max_pool_size": 5, "max_overflow": 30}


def _messages(layout: Layout, host: str) -> str:
    return f"rabbit://cloudherd:{PASSWORD}@{HOST}:{layout.rabbit}/{host}"


def _login(layout: Layout, region: Region, user: str) -> dict[str, object]:
    return {
        "auth_type": "password",
        "auth_url": layout.auth_url,
        "username": user,
        "password": PASSWORD,
        "user_domain_name": "Default",
        "project_name": "service",
        "project_domain_name": "Default",
        "region_name": region.name,
    }


def _checks_tokens(layout: Layout, region: Region, user: str) -> dict[str, object]:
    return {
        **_login(layout, region, user),
        "www_authenticate_uri": layout.auth_url,
        "service_token_roles": "service",
        "service_token_roles_required": True,
        "interface": "internal",
    }


_QUIET = {"driver": "noop"}


# -- the services


def _keystone(layout: Layout) -> Sections:
    return {
        "DEFAULT": {"public_endpoint": f"http://{HOST}:{layout.keystone}", "max_token_size": 512},
        "database": _sql(layout, "keystone"),
        "cache": {"enabled": True, "backend": "oslo_cache.dict"},
        "identity": {"password_hash_rounds": 4},
        "token": {"provider": "fernet"},
        "fernet_tokens": {"key_repository": layout.directory / "fernet"},
        "credential": {"key_repository": layout.directory / "credential-keys"},
    }


def _glance(layout: Layout, region: Region) -> Sections:
    store = layout.directory / region.database("glance")
    return {
        "DEFAULT": {
            "enabled_backends": "store:file",
            "enabled_import_methods": "[glance-direct]",
            "worker_self_reference_url": f"http://{HOST}:{region.glance}",
            "hashing_algorithm": "sha256",
        },
        "database": _sql(layout, region.database("glance")),
        "keystone_authtoken": _checks_tokens(layout, region, "glance"),
        "paste_deploy": {"flavor": "keystone", "config_file": layout.venv / "etc/glance/glance-api-paste.ini"},
        "glance_store": {"default_backend": "store"},
        "store": {"filesystem_store_datadir": store / "images"},
        "os_glance_staging_store": {"filesystem_store_datadir": store / "staging"},
        "os_glance_tasks_store": {"filesystem_store_datadir": store / "tasks"},
        "oslo_concurrency": {"lock_path": store / "locks"},
    }


def _placement(layout: Layout, region: Region) -> Sections:
    return {
        "DEFAULT": {},
        "keystone_authtoken": _checks_tokens(layout, region, "placement"),
        "api": {"auth_strategy": "keystone"},
        "placement_database": _sql(layout, region.database("placement")),
    }


def _neutron(layout: Layout, region: Region) -> Sections:
    state = layout.directory / region.database("neutron")
    unlimited = ("network", "subnet", "port", "security_group", "security_group_rule")
    return {
        "DEFAULT": {
            "state_path": state,
            "api_paste_config": layout.venv / "etc/neutron/api-paste.ini",
            "core_plugin": "ml2",
            "service_plugins": "",
            "auth_strategy": "keystone",
            "dhcp_agent_notification": False,
            "notify_nova_on_port_status_changes": False,
            "notify_nova_on_port_data_changes": False,
            "transport_url": _messages(layout, region.database("neutron")),
        },
        "database": _sql(layout, region.database("neutron")),
        "keystone_authtoken": _checks_tokens(layout, region, "neutron"),
        "oslo_concurrency": {"lock_path": state / "locks"},
        "oslo_messaging_notifications": _QUIET,
        "quotas": {f"quota_{what}": -1 for what in unlimited},
    }


_ML2: Sections = {
    "ml2": {
        "type_drivers": "local",
        "tenant_network_types": "local",
        "mechanism_drivers": "cloudherd_agentless",
        "extension_drivers": "",
    },
    "securitygroup": {"enable_security_group": True},
}


def _nova(layout: Layout, region: Region) -> Sections:
    state = layout.directory / region.database("nova")
    return {
        "DEFAULT": {
            "my_ip": HOST,
            "host": f"host-{region.number}",
            "state_path": state,
            "compute_driver": "cloudherd_host.Host",
            "transport_url": _messages(layout, region.database("nova")),
            "reserved_host_memory_mb": 0,
            "cpu_allocation_ratio": 1.0,
            "ram_allocation_ratio": 1.0,
            "disk_allocation_ratio": 1.0,
            "max_concurrent_builds": 10,
            "sync_power_state_interval": -1,
            "update_resources_interval": 20,
        },
        "database": _sql(layout, region.database("nova")),
        "api_database": _sql(layout, region.database("nova_api")),
        "api": {"max_limit": PAGE if region.number == 0 else SHORT_PAGE},
        "keystone_authtoken": {
            **_checks_tokens(layout, region, "nova"),
            "token_cache_time": 300 if region.number == 0 else -1,
        },
        "service_user": {**_login(layout, region, "nova"), "send_service_user_token": True},
        "placement": _login(layout, region, "placement"),
        "neutron": _login(layout, region, "neutron"),
        "glance": _login(layout, region, "glance"),
        "cinder": {"os_region_name": region.name},
        "conductor": {"workers": 1},
        "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": 2},
        "filter_scheduler": {"host_subset_size": 1},
        "oslo_concurrency": {"lock_path": state / "locks"},
        "oslo_messaging_notifications": _QUIET,
    }
