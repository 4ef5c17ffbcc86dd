"""What every verb does the same way: arguments, help, messages, defaults, endings."""
