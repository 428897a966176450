"""Policy as versioned data: ours here, the user's in a folder of their own."""
