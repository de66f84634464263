"""Single policies: train one, evaluate it again."""
