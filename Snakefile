include: "workflow/Snakefile"


# The default target must be set here: Snakemake does not take it from an included file.
rule all:
    input:
        rules.study.input,
