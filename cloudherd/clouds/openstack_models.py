"""What a user may write for an account at OpenStack and for a VM there: credentials, options, launch options."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from cloudherd.clouds.credentials import Credentials
from cloudherd.clouds.protocol import CloudError, ErrorKind

# A Secret made from a file often ends in a newline.
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1024)]

_EITHER = (
    "The Secret that spec.credentialsRef names: give either applicationCredentialId and applicationCredentialSecret, "
    "or username, password and projectName (or projectId)"
)


class OpenStackCredentials(Credentials):
    """The keys of the account's Secret: of an application credential, or of a user and a project. Others are not ours
    to judge.
    """

    application_credential_id: Word | None = None
    application_credential_secret: Annotated[Word | None, Field(repr=False)] = None
    username: Word | None = None
    password: Annotated[Word | None, Field(repr=False)] = None
    user_domain_name: Word = "Default"
    project_name: Word | None = None
    project_domain_name: Word = "Default"
    project_id: Word | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.application_credential_secret, self.password)))

    def auth(self) -> dict[str, Any]:
        """The body of keystone's POST /v3/auth/tokens. CloudError(INVALID) where the keys make no whole."""
        application, user = self._application(), self._user()
        if bool(application) == bool(user):
            raise CloudError(ErrorKind.INVALID, "InvalidSettings", _EITHER)
        return {"auth": application or user}

    def _application(self) -> dict[str, Any]:
        """An application credential knows its project itself."""
        if not (self.application_credential_id and self.application_credential_secret):
            return {}
        key = {"id": self.application_credential_id, "secret": self.application_credential_secret}
        return {"identity": {"methods": ["application_credential"], "application_credential": key}}

    def _user(self) -> dict[str, Any]:
        if not (self.username and self.password and (self.project_id or self.project_name)):
            return {}
        project: dict[str, Any] = {"name": self.project_name, "domain": {"name": self.project_domain_name}}
        user = {"name": self.username, "domain": {"name": self.user_domain_name}, "password": self.password}
        return {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"id": self.project_id} if self.project_id else project},
        }


class _Strict(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class OpenStackOptions(_Strict):
    """spec.options of an account."""

    timeout_seconds: Annotated[float, Field(gt=0, le=600, description="how long to wait for an answer")] = 60


class OpenStackLaunchOptions(_Strict):
    """machine.options of a service."""

    config_drive: Annotated[
        bool, Field(description="the user data on a drive too, for networks without a metadata service")
    ] = False
    key_name: Annotated[
        str | None, Field(min_length=1, max_length=255, description="a key pair, for logging in by SSH")
    ] = None
    availability_zone: Annotated[
        str | None, Field(min_length=1, max_length=255, description="left out, the cloud's choice")
    ] = None
