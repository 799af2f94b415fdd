"""Search: whatever has a name or an id, of what the person who asks may see."""
