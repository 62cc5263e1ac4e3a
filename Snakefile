# The workflow lives in workflow/; this file lets `snakemake` be typed in the repository's root.
include: "workflow/Snakefile"
