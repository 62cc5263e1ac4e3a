"""Processes shared between the small jobs of one local run of the workflow.

A cell of a small study trains for seconds, and a Python that imports torch starts for two, lm-eval
for four more. Each job stays a rule's own command, ``python -m scalebed VERB …``; but under a
workflow on one machine the command is only a messenger (`client`): it hands its words and open
files to a server (`server`) that has imported everything already, and the server forks a process
that runs the verb. Results are the same, to the last bit; see docs/speed.md.
"""
