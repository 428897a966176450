"""A stand-in of a remote agent service: a real server of A2A 1.0, whose agent follows a script."""
