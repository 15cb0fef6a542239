"""Our accounts at platforms: their secrets, pace and health; `registry` builds the adapter of one."""
