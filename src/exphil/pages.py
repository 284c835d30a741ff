"""Pages for a browser that need nothing else: no script, no font and no picture from anywhere.

What enters: a title and parts that are HTML already; whoever makes them escapes the text of others. What leaves: one
page, light or dark as the reader's system is.
"""

from __future__ import annotations

import html

STYLE = """
:root { color-scheme: light dark; --ground: #fbfbfa; --card: #fff; --ink: #1d1f23; --soft: #6b7079; --line: #e4e5e8;
  --bar: #3b6fd4; --rail: #eef0f3; }
@media (prefers-color-scheme: dark) { :root { --ground: #15171b; --card: #1d2026; --ink: #e8e9ec; --soft: #9aa0aa;
  --line: #2d3138; --bar: #6d9bf5; --rail: #282c33; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem 1rem 3rem; background: var(--ground); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 0 0 .6rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .75rem; margin: 0 0 1.25rem; }
dl div, section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .75rem 1rem; }
dt { color: var(--soft); font-size: .8rem; }
dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
"""
"""Colours by their use, and what every page has: a heading, totals (``totals``) and cards (``section``)."""


def totals(facts: list[tuple[str, str]]) -> str:
    """Words and numbers side by side; both are escaped."""
    rows = "\n".join(f"<div><dt>{html.escape(word)}</dt><dd>{html.escape(number)}</dd></div>" for word, number in facts)
    return f"<dl>\n{rows}\n</dl>"


def page(title: str, body: str, style: str) -> str:
    """A page.

    Args:
        title: Its name, escaped here.
        body: What stands below the heading, as HTML.
        style: What is added to ``STYLE``.
    """
    name = html.escape(title)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{name}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}{style}</style>\n</head>\n<body>\n<h1>{name}</h1>\n{body}\n</body>\n</html>\n"
    )
