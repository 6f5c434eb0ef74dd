"""An agent alone, next to a cloud: `kopf run --all-namespaces operator/agent.py`."""

from controllers.process import register
from controllers.settings import Settings

register(Settings.read(), gateway=False, agent=True)
