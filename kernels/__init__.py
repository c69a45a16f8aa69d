"""What runs: window arithmetic, reducers and the loops around them. Knows no array library."""
