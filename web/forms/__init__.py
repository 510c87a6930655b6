"""What people type into forms: days, periods, extensions; what is wrong with it; sent once."""
