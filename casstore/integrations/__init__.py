"""INTEGRATIONS: what other programs hold and expect, translated to and from what the store keeps."""
