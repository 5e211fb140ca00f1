"""Operations on plain NumPy arrays: each one a forward rule beside its backward rules. No tensor, no graph."""
