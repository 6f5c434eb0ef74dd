"""What every provider must do, as tests: a provider, third parties' too, passes them before it is trusted with VMs.

Needs pytest. A test module of the provider's derives a class named `Test...` from `ProviderConformance` and overrides
the fixture `cloud` to give a `CloudUnderTest` on an account that holds no VMs. What a provider declares in its
capabilities is tested, what it does not declare is skipped. The suite makes VMs: it must never be pointed at an account
that costs money or is in use.
"""

import pytest

pytest.register_assert_rewrite("cloudherd.clouds.conformance.suite", "cloudherd.clouds.conformance.subject")

from cloudherd.clouds.conformance.subject import CloudUnderTest, launch  # noqa: E402
from cloudherd.clouds.conformance.suite import ProviderConformance  # noqa: E402

__all__ = ["CloudUnderTest", "ProviderConformance", "launch"]
