"""What commands show: text, tables, curves and pages, as plain strings."""
