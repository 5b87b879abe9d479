"""Random and mutated requests over all routes: whatever they are, none is answered with a fault."""
