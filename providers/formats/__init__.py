"""Bytes from and to frozen data: no database, no network."""
