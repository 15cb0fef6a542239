"""Writing and handing in invoices of our own."""
