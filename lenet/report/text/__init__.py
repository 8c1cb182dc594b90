"""What single commands print: a check, an explanation, a tuning, a diagnosis."""
