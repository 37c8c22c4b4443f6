"""The routes, one file a subject: each reads its arguments, makes one call of a tenant's door, and answers."""
