"""What comes in: from what the user passes to scaled batches. Knows no network."""
