"""The partner API of the simulator. Internal."""
