"""What may be said of an invoice, who may say it, and saying it; `services` is the door."""
