"""Months: what a billing period is, and which periods may be compared. Internal."""
