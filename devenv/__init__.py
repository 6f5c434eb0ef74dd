"""What a developer's machine needs around Cloudherd: a control plane and the servers of `make up`, their life and death."""
