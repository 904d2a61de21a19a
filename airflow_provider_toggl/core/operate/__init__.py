"""What operates an installation: health of connections, and checks that find what is wrong."""
