"""The commands: one module per group, loaded when called. Internal."""
