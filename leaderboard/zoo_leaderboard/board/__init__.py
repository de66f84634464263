"""A leaderboard from finished runs alone: rows, columns, cells of seeds."""
