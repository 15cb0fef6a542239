"""What platforms pushed and what is fetched from them; `deliveries` drains it."""
