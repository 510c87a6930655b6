"""What happened with a contact or a deal, and how a call gets there."""
