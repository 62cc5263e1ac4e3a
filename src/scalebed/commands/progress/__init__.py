"""What a run of the workflow says on the screen: a line a cell, and how far it is.

Snakemake tells what it does as events. `account` keeps count of them and says what is worth a line,
`work` estimates the time that is left, `handler` prints. The full log stays in Snakemake's file.
"""
