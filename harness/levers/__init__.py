"""What may lift a score, computed from what is cached: each lever beside the plain score.

`wanted_levers.py` says which are asked for, `lever.py` what one is given and gives,
`known_levers.py` which there are, and `lever_rows.py` makes rows of them, with the paired
difference from the plain score.
"""
