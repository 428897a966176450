"""Kills Pointsman and its Temporal server at random moments of a running load, and looks for what was lost."""
