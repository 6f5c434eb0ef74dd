"""Gateway and agent in one process, the default: `kopf run --all-namespaces operator/all_in_one.py`."""

from controllers.process import register

register(gateway=True, agent=True)
