"""What platforms are told: `states` alone changes where a relay stands, `relays` drains them."""
