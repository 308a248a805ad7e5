"""The same work as others would write it: the servers that ours is compared with."""
