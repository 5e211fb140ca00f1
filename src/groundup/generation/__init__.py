"""Logits to text, one API for every model."""
