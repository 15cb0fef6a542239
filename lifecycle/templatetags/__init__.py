"""What templates need of us."""
