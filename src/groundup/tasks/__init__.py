"""What is learned: batches, loss, evaluation."""
