"""Gateway and agent in one process, the default: `kopf run --all-namespaces operator/all_in_one.py`."""

from controllers.process import register
from controllers.settings import Settings

register(Settings.read(), gateway=True, agent=True)
