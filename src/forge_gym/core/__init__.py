"""Problems, verdicts, references, rewards and episodes; knows nothing of any single problem."""
