"""Where Kubernetes is spoken: kopf handlers that wake the loops, the reflector, the API port, the Lease."""
