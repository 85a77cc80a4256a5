"""What can go wrong in the middle of a run, and the laws that must hold after it; docs/faults.md is made of it."""
