"""The provider `simulated`: a cloud that outlives the operator, for trying things out, for tests and for benchmarks.

Its state is one SQLite file per account, shared by all threads and processes that talk to it; `SimulatedCloud` is the
side of it that tests see. There is nothing behind it: no VM ever runs.
"""

from cloudherd.clouds.simulated.control import SimulatedCloud
from cloudherd.clouds.simulated.driver import Simulated, SimulatedDriver
from cloudherd.clouds.simulated.faults import Fault
from cloudherd.clouds.simulated.log import Call
from cloudherd.clouds.simulated.storage import cloud_directory, cloud_path

__all__ = ["Call", "Fault", "Simulated", "SimulatedCloud", "SimulatedDriver", "cloud_directory", "cloud_path"]
