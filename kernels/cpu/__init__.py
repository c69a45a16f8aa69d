"""The CPU engines: compiled loops over a range of rows, called with addresses and integers."""
