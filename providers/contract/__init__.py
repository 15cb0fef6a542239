"""What Navette and an adapter promise each other; `base` is the door."""
