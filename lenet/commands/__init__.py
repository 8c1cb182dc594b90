"""What each command does. Nothing here prints."""
