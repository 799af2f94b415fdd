"""What is worth changing, each piece with its evidence and what it saves. One module for each kind."""
