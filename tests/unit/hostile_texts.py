"""Names that are orders to a browser, a shell, a database, a template or a file system.

All are names that somebody could give: `NAMES` are carried through as they are, `UNFIT` are
refused, because nobody could read them in a line.
"""

MARKUP = "<script>alert(1)</script>\"><img src=x onerror='alert(2)'></title>"
SHELL = "$(touch x) `touch x`; touch x | touch x & touch x"
TEMPLATE = "{{ 7 * 7 }} {% raw %} ${7*7} {0.__class__} {wildcards.study} %s %n"
QUERY = "'; DROP TABLE cells; --"
VEGA = "datum['x'] ? \"a\" : 'b' \\u0041 [0]"
MARKDOWN = "# **b** [a](javascript:alert(1)) ![i](http://x/y.png) @all __b__ ~~c~~"
ALL = " ".join((MARKUP, SHELL, TEMPLATE, QUERY, VEGA, MARKDOWN, "../../etc/passwd"))
"""All of it in one name."""

NAMES = (
    *(MARKUP, SHELL, TEMPLATE, QUERY, VEGA, MARKDOWN, "</script><!--<script>"),
    *("../../etc/passwd", "/etc/passwd", "C:\\con\\aux", "CON", "nul.txt", ".", "..", "~", "*"),
    *("-rf", "--help", "=1+1", "@x", "a=b/c=d", "%2e%2e%2f", "&amp;", "&lt;b&gt;", "{}", "\\N"),
    # Equal but for case, and for the form of a letter in Unicode.
    *("Ab", "aB", "\u00e9", "e\u0301", "\U0001f9ea", "x" * 1000),
)
UNFIT = (
    *("a\nb: 12", "a\rb", "a\tb", "a\x1b[2Jb", "a\x07b", "a\0b", "a\x7fb", "a\x9b31mb"),
    *("a\u2028b", "\u202eab", "a\u2066b", "\u200eab", "a\u200bb", "a\ufeffb", "a\U000e0041b"),
    "x" * 1001,
)
