"""Where the API server is and how to log in there, by the `kubernetes` package's own loaders. Never writes a file.

Not by its asyncio half: kopf imports the other one, and each brings all of Kubernetes' models, which take 33 MB.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import Configuration
from kubernetes.config import load_incluster_config, load_kube_config
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.incluster_config import SERVICE_HOST_ENV_NAME
from kubernetes.config.kube_config import KubeConfigMerger

_HOME_CONFIG = "~/.kube/config"


class KubeconfigError(Exception):
    """There is no usable configuration; the message is one sentence with the way out."""


async def load_configuration(kubeconfig: str = "", into: Any = None) -> Any:
    """The client's Configuration: of the file named, else of $KUBECONFIG, else of the pod's service account, else of
    ~/.kube/config. `into` is one to refresh (a rotated token, an exec plugin's new answer). KubeconfigError.
    """
    configuration = into or Configuration()
    configuration.proxy = None  # the environment's is taken with regard to the host, when that is known
    named = kubeconfig or os.environ.get("KUBECONFIG", "")
    if named or SERVICE_HOST_ENV_NAME not in os.environ:
        await _load_files(named or _HOME_CONFIG, configuration)
    else:
        _load_service_account(configuration)
    return configuration


def _load_service_account(configuration: Any) -> None:
    try:
        load_incluster_config(client_configuration=configuration)
    except (ConfigException, OSError) as error:
        raise KubeconfigError(f"The service account of this pod cannot be used: {error}") from None


async def _load_files(files: str, configuration: Any) -> None:
    """`files` as $KUBECONFIG has them: one, or more between colons."""
    if not _exists(files):
        raise KubeconfigError(f"There is no kubeconfig at {files}: write one there, or name another in KUBECONFIG.")
    try:
        await asyncio.to_thread(_read, files, configuration)
    except (ConfigException, OSError, yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        # The loader stumbles over a malformed file in many ways, and its text quotes the file, credentials
        # and all.
        detail = f": {error}" if isinstance(error, OSError) else ""
        raise KubeconfigError(
            f"The kubeconfig {files} cannot be used ({type(error).__name__}{detail}); `kubectl config view` says more."
        ) from None


def _read(files: str, configuration: Any) -> None:
    load_kube_config(config_file=files, client_configuration=configuration, persist_config=False)
    configuration.refresh_api_key_hook = None  # it would wait for an exec plugin, and all others with it
    configuration.proxy = _proxy_url(files)


def _proxy_url(files: str) -> str | None:
    """What the current context's cluster has, which the loader overlooks."""
    config = KubeConfigMerger(files).config
    context = config["contexts"].get_with_name(config["current-context"])["context"]
    proxy: str | None = config["clusters"].get_with_name(context["cluster"])["cluster"].safe_get("proxy-url")
    return proxy


def _exists(files: str) -> bool:
    return any(Path(file).expanduser().is_file() for file in files.split(os.pathsep))
