"""The gateway alone: plans, and never holds a cloud's credentials. `kopf run --all-namespaces operator/gateway.py`."""

from controllers.process import register
from controllers.settings import Settings

register(Settings.read(), gateway=True, agent=False)
