"""The report of a study: what the page says (`answer`, `laws`, `checks`, `facts`) and its looks."""
