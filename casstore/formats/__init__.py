"""MEANING: what is known about content by its media type. Pure functions; the store itself never looks inside bytes."""
