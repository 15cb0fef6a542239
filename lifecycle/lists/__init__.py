"""What pages and API list."""
