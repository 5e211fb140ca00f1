"""Torch modules, one kind a file, with no knowledge of any model."""
