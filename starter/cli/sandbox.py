"""The stand-ins on the command line: each a process of its own, so that ours share nothing with them."""
