"""What a study will cost and why, told before anything runs.

`states` judges what is done, `estimates` how long the rest takes, `plan` joins the two and checks
budget and repeats, `render` writes it for people.
"""
