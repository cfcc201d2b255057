"""Looking at the simulator and changing it over HTTP. Internal."""
