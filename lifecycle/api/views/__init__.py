"""Its endpoints."""
