"""What a training run is made of, whatever the trainer: curricula, and rewards that compare the answers of a group."""
