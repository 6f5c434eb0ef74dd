"""The processes of a cloud of OpenStack's services, in the order of their start. All listen on loopback only."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

from devenv.openstack_settings import HOST, VCPUS, Layout, Region
from devenv.process import Process

# None of these programs ends with its standard input, as our own do: the kernel ends them with who started them.
TIED = ("setpriv", "--pdeathsig", "TERM")
_THREADS = 8


def mariadb(layout: Layout) -> Process:
    command = [*TIED, "mariadbd", f"--defaults-file={layout.directory}/mariadb.cnf"]
    return Process("mariadb", command, directory=layout.directory, ready=lambda: _connects(layout.mariadb))


def rabbit(layout: Layout, epmd: int, distribution: int) -> tuple[Process, Process]:
    """Erlang's port mapper too: RabbitMQ would start one that outlives it, where all the world can reach it."""
    directory = layout.directory / "rabbitmq"
    mapper = {"ERL_EPMD_ADDRESS": HOST, "ERL_EPMD_PORT": str(epmd)}
    environment = {
        **mapper,
        "HOME": str(directory),
        "RABBITMQ_NODENAME": "cloudherd@localhost",
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory),
        "RABBITMQ_CONFIG_FILE": str(layout.directory / "rabbitmq.conf"),
        "RABBITMQ_PID_FILE": str(directory / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}"  # one thread, that does not wait busily
        ),
        "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the server, instead of waiting for it
    }
    directory.mkdir(parents=True, exist_ok=True)
    server = "/usr/lib/rabbitmq/bin/rabbitmq-server"
    return (
        Process("epmd", [*TIED, "epmd", "-port", str(epmd)], environment=mapper, ready=lambda: _connects(epmd)),
        Process("rabbit", [*TIED, server], environment=environment, ready=lambda: _connects(layout.rabbit)),
    )


def keystone(layout: Layout) -> Process:
    return _api(
        layout,
        "keystone",
        layout.keystone,
        "keystone.wsgi.api",
        OS_KEYSTONE_CONFIG_FILES=layout.etc("keystone") / "keystone.conf",
    )


def apis(layout: Layout, region: Region) -> list[Process]:
    number = region.number
    glance = {"OS_GLANCE_CONFIG_DIR": layout.etc("glance", region)}
    placement = {"OS_PLACEMENT_CONFIG_DIR": layout.etc("placement", region)}
    neutron = {"OS_NEUTRON_CONFIG_DIR": layout.etc("neutron", region)}
    nova = {"OS_NOVA_CONFIG_DIR": layout.etc("nova", region)}
    return [
        _api(layout, f"glance-{number}", region.glance, "glance.wsgi.api", **glance),
        _api(layout, f"placement-{number}", region.placement, "placement.wsgi.api", **placement),
        _api(layout, f"neutron-{number}", region.neutron, "neutron.wsgi.api", **neutron),
        _api(layout, f"nova-{number}", region.nova, "nova.wsgi.osapi_compute", **nova),
    ]


def workers(layout: Layout, region: Region) -> list[Process]:
    """Nova's behind its API, which give up where the broker or keystone do not answer. That they work is seen when
    the host is known.
    """
    made = []
    for name, file in (("conductor", "nova.conf"), ("scheduler", "nova.conf"), ("compute", "nova-compute.conf")):
        configuration = str(layout.etc("nova", region) / file)
        command = [*TIED, f"{layout.venv}/bin/nova-{name}", "--config-file", configuration]
        environment = {**ENVIRONMENT, "CLOUDHERD_VCPUS": str(VCPUS)}
        made.append(Process(f"nova-{name}-{region.number}", command, environment, layout.directory, ready=lambda: True))
    return made


ENVIRONMENT = {
    "PYTHONWARNINGS": "ignore",
    "PYTHONDONTWRITEBYTECODE": "",
    "NO_PROXY": HOST,
    "no_proxy": HOST,
    "LC_ALL": "C.UTF-8",
}


def _api(layout: Layout, name: str, port: int, module: str, **environment: Path) -> Process:
    command = [
        *TIED, f"{layout.venv}/bin/uwsgi", "--venv", str(layout.venv), "--http-socket", f"{HOST}:{port}",
        "--module", f"{module}:application", "--processes", "1", "--threads", str(_THREADS), "--listen", "100",
        "--buffer-size", "65535", "--need-app", "--die-on-term", "--http-auto-chunked", "--http-chunked-input",
        "--add-header", "Connection: close", "--thunder-lock", "--disable-logging", "--log-5xx",
    ]  # fmt: skip
    settings = {key: str(path) for key, path in environment.items()}
    return Process(name, command, {**ENVIRONMENT, **settings}, layout.directory, ready=lambda: answers(port))


def answers(port: int) -> bool:
    """Anything but an error of the server's own."""
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
