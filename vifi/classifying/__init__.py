"""Labels, their texts, and videos of no store: what `vifi classify` asks and how it answers."""
