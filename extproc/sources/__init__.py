"""Where resources come from; each source hands over Documents and knows nothing of what becomes of them."""
