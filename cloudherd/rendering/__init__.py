"""Contexts to user data: pure, and run in worker processes, since templates are foreign text."""
