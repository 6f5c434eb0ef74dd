"""The clouds: one module per provider behind one small protocol (`protocol`), found by entry point (`registry`)."""
