"""What a trained model has learned, in pictures and numbers: maps of its embeddings, their neighbours."""
