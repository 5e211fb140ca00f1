"""Config in, logits out: no loss, no optimizer, no file access."""
