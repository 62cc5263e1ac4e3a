"""From the database to figures and the report.

NEEDS: results/studies/<study>/study.duckdb.
MAKES: results/studies/<study>/{explored/,figures/,report.html}. Figures and report fit nothing:
what they show beside the database is explored first, and only if they show it.
"""


rule explore:
    """Compute what one figure shows, or the report, and the database does not hold."""
    input:
        database="results/studies/{study}/study.duckdb",
    output:
        "results/studies/{study}/explored/{explored}.parquet",
    log:
        "logs/explore/{study}/{explored}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    resources:
        **ANALYSIS_RESOURCES,
    params:
        exploration=exploration,
        spec=exploration_params,
        code=exploration_code,
    shell:
        "exec python -m scalebed explore {params.exploration:q} --params {params.spec:q}"
        " --database {input.database:q} --out {output:q} > {log:q} 2>&1"


rule bundle_script:
    """Write the script that draws figures without a network; bundling it takes seconds."""
    output:
        "results/studies/{study}/figures/vega.js",
    log:
        "logs/bundle_script/{study}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    resources:
        **ANALYSIS_RESOURCES,
    params:
        converter=CONVERTER,
        code=code_digest("scalebed.report.figures.javascript"),
    shell:
        "exec python -m scalebed bundle-script --out {output:q} > {log:q} 2>&1"


rule plot_figure:
    """Draw one figure as an interactive page, SVG and PNG."""
    input:
        database="results/studies/{study}/study.duckdb",
        explored=figure_explored,
        script=rules.bundle_script.output,
    output:
        html=report(
            "results/studies/{study}/figures/{figure}.html",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}", "form": "interactive"},
        ),
        svg=report(
            "results/studies/{study}/figures/{figure}.svg",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}", "form": "still"},
        ),
        png="results/studies/{study}/figures/{figure}.png",
        spec="results/studies/{study}/figures/{figure}.json",
    log:
        "logs/plot_figure/{study}/{figure}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    resources:
        **ANALYSIS_RESOURCES,
    params:
        plot=figure_plot,
        spec=figure_params,
        code=figure_code,
        prefix=subpath(output.svg, strip_suffix=".svg"),
        explored=explored_argument,
    shell:
        "exec python -m scalebed plot-figure --figure {params.plot:q} --params {params.spec:q}"
        " --database {input.database:q} {params.explored:q} --script {input.script:q}"
        " --out-prefix {params.prefix:q}"
        " > {log:q} 2>&1"


rule write_report:
    """Write the report of the study: one page that needs no network."""
    input:
        database="results/studies/{study}/study.duckdb",
        figures=collect(
            "results/studies/{{study}}/figures/{figure}.{kind}",
            figure=FIGURES,
            kind=["json", "svg"],
        ),
        explored=REPORT_EXPLORED,
        script=rules.bundle_script.output,
    output:
        report(
            "results/studies/{study}/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"study": "{study}"},
        ),
    log:
        "logs/write_report/{study}.log",
    conda:
        "../../envs/fit.yaml"
    threads: 1
    resources:
        **ANALYSIS_RESOURCES,
    params:
        spec=report_params,
        code=code_digest("scalebed.report.page"),
    shell:
        "exec python -m scalebed write-report --params {params.spec:q}"
        " --database {input.database:q} --figures results/studies/{wildcards.study:q}/figures"
        " --explored results/studies/{wildcards.study:q}/explored --out {output:q} > {log:q} 2>&1"
