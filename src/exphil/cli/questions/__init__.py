"""The questions of ``exphil setup``: how they are asked, answered and checked."""
