"""What problems whose solutions have one form share: texts, answers, moves, arrays, enumeration; one file a kind."""
