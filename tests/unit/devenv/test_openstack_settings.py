"""What OpenStack's services are told: nothing that is not theirs, and nothing that the world could reach."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

from devenv.openstack_settings import HOST, Layout, Region, databases, files

REGIONS = (Region("RegionOne", 0, 1, 2, 3, 4), Region("RegionTwo", 1, 5, 6, 7, 8))
LAYOUT = Layout(Path("/state"), Path("/venv"), mariadb=10, rabbit=11, keystone=12, regions=REGIONS)


def settings(path: str) -> ConfigParser:
    found = ConfigParser(interpolation=None)
    found.read_string(files(LAYOUT)[Path("/state") / path])
    return found


def test_every_address_is_on_loopback() -> None:
    for path, content in files(LAYOUT).items():
        urls = re.findall(r"(?:https?|rabbit|mysql\+pymysql)://(?:[^@/\s]*@)?([^:/\s]+)", content)
        assert set(urls) <= {HOST}, path
        assert "0.0.0.0" not in content


def test_the_host_does_not_know_the_databases() -> None:
    assert "database" in settings("etc/nova-0/nova.conf")
    compute = settings("etc/nova-0/nova-compute.conf")
    assert not [section for section in compute.sections() if section.endswith("database")]


def test_regions_share_keystone_and_nothing_else() -> None:
    for service, file in (("glance", "glance-api.conf"), ("neutron", "neutron.conf"), ("nova", "nova.conf")):
        first, second = (settings(f"etc/{service}-{number}/{file}") for number in (0, 1))
        assert first["database"]["connection"] != second["database"]["connection"]
        assert first["keystone_authtoken"]["auth_url"] == second["keystone_authtoken"]["auth_url"]
    assert len(set(databases(2))) == 13


def test_every_database_is_made() -> None:
    made = re.findall(r"IF NOT EXISTS (\w+)", files(LAYOUT)[Path("/state/mariadb.sql")])
    used = re.findall(r":10/(\w+)", "".join(files(LAYOUT).values()))
    assert set(used) <= set(made) == set(databases(2))


def test_all_files_are_in_the_clouds_own_directory() -> None:
    assert all(path.is_relative_to("/state") for path in files(LAYOUT))
