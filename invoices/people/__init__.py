"""Who may see and do what, and what they did."""
