"""How a call leaves the machine: where it may go, how long it may take, what of it is hidden in logs."""
