"""Is a verifier right? The gate: definitions, attacks, exhaustive agreement, calibration, mutants."""
