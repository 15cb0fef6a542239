"""The door for what platforms push."""
