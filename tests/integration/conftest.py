from worlds import home, world

__all__ = ["home", "world"]
