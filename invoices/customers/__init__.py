"""Companies and their addressing lines."""
