"""What this computer is and has: hardware, installed packages, load, device targets."""
