"""People who sign in, staff with phones, and the first administrator's code."""
