"""Invoices and their files, taken in and shown; `services` is the door."""
