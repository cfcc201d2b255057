"""The API v1.0 of the simulator: its routes, what accounts hold in it, and its description."""
