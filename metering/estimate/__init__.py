"""What a call will take before it is made: tokens of its texts and pictures, and their cost."""
