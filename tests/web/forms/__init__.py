"""What people type into forms."""
