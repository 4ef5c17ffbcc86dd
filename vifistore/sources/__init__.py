"""Where the bytes of videos lie: folders, object stores, web servers, shards."""
