"""The gateway alone: plans, and never holds a cloud's credentials. `kopf run --all-namespaces operator/gateway.py`."""

from controllers.process import register

register(gateway=True, agent=False)
