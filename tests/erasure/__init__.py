"""What is left of people who were erased."""
