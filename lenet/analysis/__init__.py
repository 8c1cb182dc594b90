"""What records and events say. This room reads; it never runs anything and never imports a framework."""
