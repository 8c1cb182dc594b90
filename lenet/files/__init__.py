"""Reading and writing files without trust: atomic writes, bounded reads, locks, the cache folder."""
