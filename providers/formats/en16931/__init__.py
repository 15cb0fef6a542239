"""Invoices: UBL, CII and Factur-X from and to one model, and how they are shown."""
