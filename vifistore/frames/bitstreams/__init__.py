"""What coded packets say before they are decoded: times, references, losses."""
