"""NOUNS: the catalog in Postgres. Names, versions, pointers, and the ledger of blobs; each SQL constant above its function."""
