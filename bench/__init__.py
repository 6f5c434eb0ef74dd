"""`make bench`: what Cloudherd costs at scale, measured on a control plane of its own and simulated clouds."""
