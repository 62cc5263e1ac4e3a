"""A study's database, opened read only: predictions, laws, residuals, and a query of one's own.

    marimo edit notebooks/study.py -- --database results/studies/default/study.duckdb

As a script, `python notebooks/study.py --database …`, it runs every cell and shows nothing.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="A study")

with app.setup:
    from html import escape

    import altair as alt
    import marimo as mo

    from scalebed.tables.reader import StudyDatabase

    DATABASE = "results/studies/default/study.duckdb"


@app.cell
def _():
    path = mo.cli_args().get("database") or DATABASE
    study = StudyDatabase(str(path))
    facts = study.facts()
    # Names and titles may be anything; in Markdown they would be markup.
    title, name, loss = (escape(str(text)) for text in (facts["title"], path, study.yardstick))
    mo.Html(f"""
    <h1>{title}</h1>
    <p><code>{name}</code>, opened read only. Its tables and columns stand in docs/results.md. The
    loss that counts is that on <b>{loss}</b>.</p>
    """)
    return (study,)


@app.cell
def _(study):
    mo.vstack(
        [
            mo.md("""
            ## Predictions

            Targets, which no law has seen. `relative_error` is predicted / measured - 1.
            """),
            mo.ui.table(
                study.frame("""
                SELECT dataset, size, ratio, kind, response, predicted, lower, upper, measured,
                       relative_error, covered, flops_ratio
                FROM predictions_vs_measured WHERE role = 'target'
                """),
                selection=None,
            ),
        ]
    )
    return


@app.cell
def _(study):
    mo.vstack(
        [
            mo.md("""
            ## Laws

            What was fitted, how well it lies, and its parameters with their intervals.
            """),
            mo.ui.table(
                study.frame("""
                SELECT fit, law, dataset, response, points, degrees_of_freedom, rmse, parameter,
                       value, lower, upper, unit, fits.status, verdict
                FROM fits LEFT JOIN fit_parameters USING (fit) ORDER BY ALL
                """),
                selection=None,
            ),
        ]
    )
    return


@app.cell
def _(study):
    kinds = study.frame("SELECT DISTINCT kind FROM predictions WHERE measured > 0 ORDER BY 1 DESC")
    kind = mo.ui.dropdown(kinds["kind"].tolist(), kinds["kind"].iloc[0], label="residuals of")
    along = mo.ui.dropdown(
        {"compute": "flops", "parameters": "params", "tokens": "tokens", "M": "token_multiplier"},
        "compute",
        label="along",
    )
    mo.vstack([mo.md("## Residuals"), mo.hstack([kind, along], justify="start")])
    return along, kind


@app.cell
def _(along, kind, study):
    residuals = study.frame(
        """
        SELECT dataset, size, ratio, role, flops, params, tokens, token_multiplier,
               100 * (predicted / measured - 1) AS deviation
        FROM predictions_vs_measured
        WHERE measured > 0 AND kind = $kind
              AND response = CASE kind WHEN 'loss' THEN $yardstick ELSE 'average' END
        """,
        {"kind": kind.value, "yardstick": study.yardstick},
    )
    alt.Chart(residuals).mark_point(filled=True, size=60).encode(
        x=alt.X(f"{along.value}:Q", scale=alt.Scale(type="log"), title=along.selected_key),
        y=alt.Y("deviation:Q", title="predicted against measured, per cent"),
        color="dataset:N",
        shape="role:N",
        tooltip=["dataset", "size", "ratio", "role", alt.Tooltip("deviation:Q", format=".2f")],
    ).properties(width=640, height=320)
    return


@app.cell
def _():
    query = mo.ui.text_area(
        "SELECT dataset, validation, flops, loss, cell FROM frontier",
        label="DuckDB's SQL; SHOW TABLES lists what there is",
        rows=4,
        full_width=True,
    )
    mo.vstack([mo.md("## A query of your own"), query])
    return (query,)


@app.cell
def _(query, study):
    mo.ui.table(study.frame(query.value), selection=None)
    return


if __name__ == "__main__":
    app.run()
