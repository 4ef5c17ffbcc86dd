"""Who may write what: by locks on a disk, by claims in an object store."""
