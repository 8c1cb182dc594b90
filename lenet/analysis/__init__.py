"""What records and events say. It reads; it never runs anything and never imports a framework."""
