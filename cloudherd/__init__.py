"""The domain of Cloudherd: what a virtual cluster is and what keeps it alive. Never imports Kubernetes or kopf."""
