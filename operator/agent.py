"""An agent alone, next to a cloud: `kopf run --all-namespaces operator/agent.py`."""

from controllers.process import register

register(gateway=False, agent=True)
