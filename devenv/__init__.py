"""What a developer needs around Cloudherd: a control plane, the servers of `make up`, and their life and death."""
