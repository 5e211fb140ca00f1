"""Pages about runs: what they cost and reach, and how a tuned model writes beside its base."""
