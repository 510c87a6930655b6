"""Where sound is kept: a directory or S3, encrypted if wished, and looked after."""
