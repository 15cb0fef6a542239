"""The desk: one module for each group of pages."""
