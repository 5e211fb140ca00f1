"""Weights on disk: the only room that knows other people's names."""
