"""What an operator's process is told by its environment, every name with the prefix CLOUDHERD_."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PREFIX = "CLOUDHERD_"


class SettingsError(Exception):
    """One sentence per setting that makes no sense."""


class Settings(BaseModel):
    """`CLOUDHERD_NAMESPACE` and so on; what is left out has the default here."""

    model_config = ConfigDict(frozen=True)

    namespace: str = Field("cloudherd-system", description="where the operator's own objects live")
    installation: str = Field("", description="this installation's ID, instead of the one in its ConfigMap")
    kubeconfig: str = Field("", description="a kubeconfig; else KUBECONFIG, else the pod's service account")
    ready_file: Path | None = Field(None, description="written when everything is listed and watched")
    metrics_address: str = Field(
        "", pattern=r"^(\S+:\d{1,5})?$", description="host:port where /metrics is served; nowhere if it is empty"
    )
    lease: bool = Field(False, description="act only while holding a Lease: for more than one replica")
    render_workers: int = Field(2, ge=1, le=64)
    orphan_age_seconds: float = Field(600, ge=1, description="how long an orphan is watched before it is destroyed")

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The settings of an environment. SettingsError names each variable that makes no sense."""
        given = {
            name: environment[PREFIX + name.upper()]
            for name in cls.model_fields
            if PREFIX + name.upper() in environment
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            wrong = [f"{PREFIX}{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors(include_input=False)]
            raise SettingsError("; ".join(wrong)) from None
