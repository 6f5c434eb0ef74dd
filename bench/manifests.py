"""What is asked of Cloudherd: `SCALE` VMs over 20 simulated accounts, as many small clusters or as one."""

from __future__ import annotations

from bench.client import Object

NAMESPACE = "bench"
ACCOUNTS = 20
MASTER_AND_WORKERS = 10
BOOT_SECONDS = 1
BURSTING = 3  # every third cluster has half of its VMs' places on its first account
API = "cloudherd.dev/v1alpha1"

MASTER = """#cloud-config
write_files:
  - path: /etc/condor/config.d/50-pool
    content: |
      COLLECTOR_NAME = {{ parameters.pool }}
"""
WORKER = """#cloud-config
write_files:
  - path: /etc/condor/config.d/50-pool
    content: |
      CONDOR_HOST = {{ services.master.address }}
"""


def account(number: int) -> str:
    return f"cloud-{number % ACCOUNTS:02}"


def foundations(poll_interval: str) -> list[tuple[str, Object]]:
    """Accounts and Contexts, each with its plural."""
    accounts = [
        _object(
            "CloudAccount",
            account(number),
            {
                "provider": "simulated",
                "simulated": {"bootSeconds": BOOT_SECONDS},
                "flavors": {"small": "sim.small"},
                "images": {"debian-12": "sim-debian-12"},
                "pollInterval": poll_interval,
            },
        )
        for number in range(ACCOUNTS)
    ]
    master: Object = {"parameters": [{"name": "pool", "default": "physics"}], "parts": [{"template": MASTER}]}
    contexts = [
        _object("Context", "master", master),
        _object("Context", "worker", {"parts": [{"template": WORKER}]}),
    ]
    return [*(("cloudaccounts", one) for one in accounts), *(("contexts", one) for one in contexts)]


def many(scale: int) -> list[Object]:
    """Clusters of a master and nine workers; a third of them find half of that on their first account, and burst."""
    return [_small(number) for number in range(scale // MASTER_AND_WORKERS)]


def _small(number: int) -> Object:
    first: Object = {"name": account(number)}
    if number % BURSTING == 0:
        first["maxInstances"] = MASTER_AND_WORKERS // 2
    accounts = [first, {"name": account(number + 1)}]
    return cluster(f"pool-{number:04}", MASTER_AND_WORKERS - 1, accounts)


def one(scale: int) -> list[Object]:
    """One cluster that fills all accounts evenly: a site with a master at each."""
    accounts = [{"name": account(number), "maxInstances": scale // ACCOUNTS} for number in range(ACCOUNTS)]
    return [cluster("pool", scale - ACCOUNTS, accounts)]


def cluster(name: str, workers: int, accounts: list[Object]) -> Object:
    machine = {"flavor": "small", "image": "debian-12"}
    services = [
        {
            "name": "master",
            "type": "Fixed",
            "replicas": 1,
            "contextRef": {"name": "master"},
            "parameters": {"pool": name},
            "machine": machine,
        },
        {  # no replicas: the ClusterService's count rules, and begins with minReplicas
            "name": "worker",
            "type": "Scalable",
            "minReplicas": workers,
            "dependsOn": ["master"],
            "contextRef": {"name": "worker"},
            "machine": machine,
        },
    ]
    return _object("VirtualCluster", name, {"services": services, "placement": {"accounts": accounts}})


def _object(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": API, "kind": kind, "metadata": {"namespace": NAMESPACE, "name": name}, "spec": spec}
