"""What a board is shown as: tables, figures."""
