"""A package, so that no other one of this name is imported: sleap-io 0.9.5 installs its own."""
