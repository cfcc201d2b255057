"""The engine of a bulk run: accounts in, outcomes out. Internal."""
