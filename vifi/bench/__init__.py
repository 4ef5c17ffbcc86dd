"""`vifi bench NAME`: what the program reaches on this machine, as rows that can be committed."""
