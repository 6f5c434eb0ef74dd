"""What is put into OpenStack's own environment. Nothing of ours imports it."""
