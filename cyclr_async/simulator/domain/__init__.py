"""What the simulated partner has and does, whichever API asks. Internal."""
