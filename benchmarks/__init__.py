"""Benchmarks: ratios that anyone can reproduce. ``python -m benchmarks.run`` runs them all."""
