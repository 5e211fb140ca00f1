"""Weights, and what they multiply, in 8 and 4 bits: arithmetic, layers, and models whose layers are swapped."""
