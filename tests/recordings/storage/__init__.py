"""Where sound is kept."""
