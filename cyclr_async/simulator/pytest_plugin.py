"""The pytest plugin of the simulator."""
