"""Fine-tuning: what learns in a pretrained model, adapters, and the runs that train them."""
