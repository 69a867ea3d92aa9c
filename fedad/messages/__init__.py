"""What travels between a site and the server: its declaration, its bytes, its bond, its file."""
