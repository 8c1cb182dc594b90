"""Records as tables: rows, columns, and the forms a table takes."""
