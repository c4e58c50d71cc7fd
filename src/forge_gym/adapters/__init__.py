"""One thin file per foreign contract; each imports its library when used."""
