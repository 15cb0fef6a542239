"""What is recorded of an invoice, in what order it counts, and the proof of it; `events` is the door."""
